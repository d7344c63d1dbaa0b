// See quantised.h.
#include "engine/passes/quantised.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "engine/passes/passes.h"

namespace lanewise {

QuantisedValues::QuantisedValues(Graph& graph) : graph_(graph), producer_(producers(graph)) {}

const Node* QuantisedValues::producer(ValueId id) const {
  const int at = id == kNoValue ? -1 : producer_[static_cast<std::size_t>(id)];
  return at < 0 ? nullptr : &graph_.nodes[static_cast<std::size_t>(at)];
}
std::optional<Quantised> QuantisedValues::parameters(const Node& node, ValueId value) const {
  Quantised q{.value = value,
              .scale = input(node, 1),
              .zero = input(node, 2),
              .dtype = graph_.value(value).dtype};
  const Tensor* scale = constant(q.scale);
  const Tensor* zero = constant(q.zero);
  if (scale == nullptr || scale->dtype() != DType::kFloat32 ||
      (q.zero != kNoValue && zero == nullptr) || int_or(node, "block_size", 0) != 0)
    return std::nullopt;
  const bool bytes =
      is_byte(q.dtype) || (q.dtype == DType::kInt32 && is_op(node, "DequantizeLinear"));
  if (!bytes) return std::nullopt;
  q.scales = scale->float_values();
  q.zeros = zero == nullptr ? std::vector<std::int64_t>{0} : zero->int_values();
  const std::int64_t axis = int_or(node, "axis", 1);
  q.axis = axis < 0 ? axis + shape(value).rank() : axis;
  constexpr double kSmall = 0x1p-50, kLarge = 0x1p50;  // products and quotients stay normal
  for (double s : q.scales) {
    if (!(s > kSmall && s < kLarge)) return std::nullopt;
  }
  return q;
}

std::optional<Quantised> QuantisedValues::dequantised(ValueId id) const {
  const Node* node = producer(id);
  if (node == nullptr || !is_op(*node, "DequantizeLinear")) return std::nullopt;
  if (graph_.value(id).dtype != DType::kFloat32) return std::nullopt;
  return parameters(*node, node->inputs[0]);
}
std::optional<Quantised> QuantisedValues::activation(ValueId id) const {
  std::optional<Quantised> q = dequantised(id);
  if (q && (!q->one() || !is_byte(q->dtype))) return std::nullopt;
  return q;
}

std::int64_t byte_of(float bound, const Quantised& y) {
  const float v = bound / static_cast<float>(y.scales[0]);
  const double low = least_of(y.dtype), high = most_of(y.dtype);
  const double rounded = std::nearbyint(static_cast<double>(v)) + static_cast<double>(y.zeros[0]);
  return static_cast<std::int64_t>(std::clamp(rounded, low, high));
}

bool QuantisedValues::scalar(const Node& node, std::size_t i, float fallback, float* result) const {
  *result = fallback;
  if (input(node, i) == kNoValue) return true;
  const Tensor* tensor = constant(node.inputs[i]);
  if (tensor == nullptr || tensor->dtype() != DType::kFloat32 || tensor->elements() != 1)
    return false;
  *result = *tensor->as<float>();
  return *result == *result;
}

std::optional<Quantised> QuantisedValues::weights(ValueId id, int axis,
                                                  std::int64_t columns) const {
  std::optional<Quantised> w = dequantised(id);
  if (!w || !is_byte(w->dtype)) return std::nullopt;
  const bool each = w->axis == axis && static_cast<std::int64_t>(w->scales.size()) == columns;
  if (!w->one() && !each) return std::nullopt;
  if (w->zeros.size() != 1 && w->zeros.size() != w->scales.size()) return std::nullopt;
  return w;
}

bool QuantisedValues::bias(ValueId id, const Quantised& x, const Quantised& w, std::int64_t columns,
                           double terms, ValueId* result) const {
  double most = terms * x.reach() * w.reach();
  *result = id;
  if (id != kNoValue) {
    if (shape(id) != Shape{columns}) return false;
    const std::optional<Quantised> b = dequantised(id);
    const Tensor* values = b ? constant(b->value) : nullptr;
    bool units =
        values != nullptr && b->dtype == DType::kInt32 && b->zeros.size() == 1 && b->zeros[0] == 0;
    for (std::int64_t i = 0; units && i < columns; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const float unit =
          static_cast<float>(x.scales[0]) * static_cast<float>(w.scales[w.one() ? 0 : at]);
      units = static_cast<float>(b->scales[b->one() ? 0 : at]) == unit;
    }
    if (units) {
      *result = b->value;
      double largest = 0;
      for (std::int64_t v : values->int_values())
        largest = std::max(largest, std::abs(static_cast<double>(v)));
      most += largest;
    }
  }
  return most <= std::numeric_limits<std::int32_t>::max();
}

}  // namespace lanewise
