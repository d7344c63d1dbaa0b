// The intermediate representation: ONNX's own operators, normalised to one opset, as plain data.
// What an operator means is in op.h; how a file becomes a Graph is in engine/onnx.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/graph/tensor.h"

namespace lanewise {

struct OpDef;
struct Graph;

using ValueId = std::int32_t;
inline constexpr ValueId kNoValue = -1;  // an optional input or output that is left out

// A body of If, Loop or Scan. Values of the outer graph that the body reads are inputs of the
// node, after its formal ones; the body takes them as inputs after its formal ones.
struct Subgraph {
  std::shared_ptr<const Graph> graph;
  std::vector<int>
      captured;  // for each input of `graph` past the formal ones: index in Node::inputs
};

// An attribute that names a type: {kFloat32}, {kSequence, kFloat32} (container.h).
struct ValueType {
  std::vector<DType> type;
};

using Attribute =
    std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>,
                 std::vector<std::string>, Tensor, std::vector<Tensor>, Subgraph, ValueType>;

struct Node {
  std::string name;  // as in the file, or made up from the operator and an output; unique enough
  const OpDef* op = nullptr;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::map<std::string, Attribute, std::less<>> attributes;
  int formal_inputs = 0;  // inputs before the captured ones; equals inputs.size() without a body

  // The attribute, or null when absent.
  template <class T>
  const T* attribute(std::string_view key) const {
    const auto it = attributes.find(key);
    return it == attributes.end() ? nullptr : std::get_if<T>(&it->second);
  }
};

// Where a channels-last value lies inside another one, as the inputs of Concat may: its pixels are
// `pitch` elements apart, and it begins `offset` elements into each pixel of `within`.
struct Embedding {
  ValueId within = kNoValue;
  std::int64_t offset = 0, pitch = 0;
};

// Facts about a value. Before shapes are known, `shape` may hold kUnknown dimensions and
// `ranked` tells whether even the rank is known.
struct Value {
  std::string name;
  DType dtype = DType::kUndefined;
  std::vector<DType> holds;  // of a sequence, optional or map: as in Container
  Shape shape;
  bool ranked = false;
  Layout layout = Layout::kPlain;
  Embedding embedding;
  std::vector<std::string> dim_names;  // symbolic names of graph inputs' dimensions, "" where none
  std::shared_ptr<const Tensor> constant;  // content, when known
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;       // in an order in which each value is made before it is read
  std::vector<ValueId> inputs;   // what the caller gives; initialisers are not among these,
  std::vector<ValueId> outputs;  // but see `overridable`
  std::vector<ValueId>
      overridable;  // initialisers that are also inputs: the caller may replace them
  std::map<std::string, std::string> metadata;  // producer, opset, documentation, custom entries

  const std::string& value_name(ValueId id) const {
    return values[static_cast<std::size_t>(id)].name;
  }
  Value& value(ValueId id) { return values[static_cast<std::size_t>(id)]; }
  const Value& value(ValueId id) const { return values[static_cast<std::size_t>(id)]; }
  ValueId add_value(Value value) {
    values.push_back(std::move(value));
    return static_cast<ValueId>(values.size() - 1);
  }
};

}  // namespace lanewise
