// What quantised values mean: the integers, scales and zero points behind real numbers of a graph.
// What is done with them is in fuse_quantised.cc.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {

inline bool is_op(const Node& node, std::string_view name) {
  return node.op->domain.empty() && node.op->name == name;
}
inline std::int64_t int_or(const Node& node, std::string_view name, std::int64_t fallback) {
  const auto* value = node.attribute<std::int64_t>(name);
  return value == nullptr ? fallback : *value;
}

inline bool is_byte(DType dtype) { return dtype == DType::kUInt8 || dtype == DType::kInt8; }
inline std::int32_t least_of(DType dtype) { return dtype == DType::kInt8 ? -128 : 0; }
inline std::int32_t most_of(DType dtype) { return dtype == DType::kInt8 ? 127 : 255; }

// One side of an operator: integers and what they mean.
struct Quantised {
  ValueId value = kNoValue, scale = kNoValue, zero = kNoValue;
  DType dtype = DType::kUndefined;
  std::int64_t axis = 0;                 // of the scales where there are several
  std::vector<double> scales = {};       // one, or one for each index of the axis
  std::vector<std::int64_t> zeros = {};  // {0}, or as many as scales

  bool one() const { return scales.size() == 1; }
  bool same_as(const Quantised& other) const {
    return dtype == other.dtype && scales == other.scales && zeros == other.zeros;
  }
  // The largest |q - zero|.
  double reach() const {
    std::int64_t most = 0;
    for (std::int64_t z : zeros) most = std::max({most, z - least_of(dtype), most_of(dtype) - z});
    return static_cast<double>(most);
  }
};

// Bounds that an activation sets to the bytes of a result.
struct Bounds {
  std::int64_t low = -128, high = 255;
  bool none() const { return low == -128 && high == 255; }
};

class QuantisedValues {
 public:
  explicit QuantisedValues(Graph& graph);

  static ValueId input(const Node& node, std::size_t i) {
    return i < node.inputs.size() ? node.inputs[i] : kNoValue;
  }
  const Shape& shape(ValueId id) const { return graph_.value(id).shape; }
  const Tensor* constant(ValueId id) const {
    return id == kNoValue ? nullptr : graph_.value(id).constant.get();
  }
  const Node* producer(ValueId id) const;

  // The parameters of a QuantizeLinear or DequantizeLinear whose integers are `value`: constant
  // scales of an ordinary size, no blocks.
  std::optional<Quantised> parameters(const Node& node, ValueId value) const;
  // What DequantizeLinear makes into `id`, if that is what makes it.
  std::optional<Quantised> dequantised(ValueId id) const;
  // The same, of bytes with one scale.
  std::optional<Quantised> activation(ValueId id) const;
  // The same, of bytes whose scales, where there are several, go with dimension `axis`.
  std::optional<Quantised> weights(ValueId id, int axis, std::int64_t columns) const;
  // The bias `id` as an operator on integers takes it: int32 in units of the sums, else real
  // numbers; false where sums of so many terms might overflow.
  bool bias(ValueId id, const Quantised& x, const Quantised& w, std::int64_t columns, double terms,
            ValueId* result) const;
  // The constant number at an optional input, or `fallback`; false when there is no such number.
  bool scalar(const Node& node, std::size_t i, float fallback, float* result) const;

 protected:
  Graph& graph_;

 private:
  std::vector<int> producer_;
};

// The byte of y that `bound` is quantised to: quantising keeps the order, so that it bounds the
// bytes of what `bound` bounds.
std::int64_t byte_of(float bound, const Quantised& y);

}  // namespace lanewise
