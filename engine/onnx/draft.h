// A model on its way to a Graph: nodes and values by name, tensors already made. Here functions
// are inlined and old operators rewritten; resolve.h turns names into values afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/onnx/proto.h"
#include "engine/onnx/tensor_data.h"

namespace lanewise::onnx {

// The newest opset of the domain ai.onnx that is understood; everything is rewritten to it.
inline constexpr std::int64_t kNewestOpset = 28;

struct DraftGraph;

using AttrValue = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>,
                               std::vector<float>, std::vector<std::string>, Tensor,
                               std::vector<Tensor>, std::shared_ptr<DraftGraph>, ValueType>;

// A value, or inside a function the name of the caller's attribute that holds it; neither for types
// of attributes that this library knows nothing of.
struct DraftAttr {
  std::shared_ptr<const AttrValue> value;
  std::string reference;
};

using AttrMap = std::map<std::string, DraftAttr, std::less<>>;

struct DraftNode {
  std::string name, domain, op, overload;
  std::int64_t opset = 0;    // of its domain, as the file imports it; 0 when it does not
  std::int64_t version = 0;  // opset of the form that it has now
  std::vector<std::string> inputs, outputs;
  AttrMap attributes;
};

struct DraftValue {
  std::string name;
  DType dtype = DType::kUndefined;
  std::vector<DType> holds;  // as in Value
  bool ranked = false;
  Shape shape;
  std::vector<std::string> dim_names;
  const char* foreign = nullptr;  // "a sparse tensor" and the like: types that nothing here runs
};

struct DraftConstant {
  std::string name;
  std::shared_ptr<const Tensor> tensor;
};

struct DraftGraph {
  std::string name;
  std::vector<DraftNode> nodes;
  std::vector<DraftValue> inputs, outputs;
  std::vector<DraftConstant> constants;
  std::unordered_map<std::string, DType> hints;  // declared element types of inner values
};

using OpsetMap = std::map<std::string, std::int64_t, std::less<>>;

// Everything wrong with a model. Errors are faults of the model; unsupported holds what is valid
// but cannot run here, each a "node 'x': Op (domain, opset)".
struct Problems {
  std::vector<std::string> errors, unsupported;
  bool empty() const { return errors.empty() && unsupported.empty(); }
};

// "" for the domain ai.onnx, under both of its names.
std::string_view canonical_domain(std::string_view domain);
OpsetMap make_opsets(const std::vector<OperatorSetId>& imports);

// "node 'conv1' (Conv)", for messages.
std::string label(const DraftNode& node);

// Converts messages; throws ModelError naming the tensor, attribute or node that is broken.
DraftGraph make_draft(const GraphProto& graph, const OpsetMap& opsets, TensorSource& source);
DraftNode make_draft(const NodeProto& node, const OpsetMap& opsets, TensorSource& source);
DraftAttr make_draft(const AttributeProto& attribute, const OpsetMap& opsets, TensorSource& source);

// Names that no value of the model has.
class Names {
 public:
  explicit Names(const DraftGraph& graph) { collect(graph); }
  // `wanted`, shortened when very long, with a number when it is taken.
  std::string fresh(std::string_view wanted);

 private:
  void collect(const DraftGraph& graph);
  std::unordered_set<std::string> used_;
  std::unordered_map<std::string, std::int64_t> next_;
};

}  // namespace lanewise::onnx
