// From messages to drafts.
#include "engine/onnx/draft.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

std::vector<std::string> strings(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

// Files written before attributes had a type are read by the field that is set.
std::int32_t type_of(const AttributeProto& a) {
  if (a.type != AttributeProto::kUndefined) return a.type;
  if (a.has_f) return AttributeProto::kFloat;
  if (a.has_i) return AttributeProto::kInt;
  if (a.has_s) return AttributeProto::kString;
  if (a.t != nullptr) return AttributeProto::kTensor;
  if (a.g != nullptr) return AttributeProto::kGraph;
  if (!a.floats.empty()) return AttributeProto::kFloats;
  if (!a.ints.empty()) return AttributeProto::kInts;
  if (!a.strings.empty()) return AttributeProto::kStrings;
  if (!a.tensors.empty()) return AttributeProto::kTensors;
  if (a.sparse_tensor != nullptr) return AttributeProto::kSparseTensor;
  return AttributeProto::kUndefined;
}

// Types of attributes that no operator of this library has; its node is reported as unsupported.
bool is_foreign(std::int32_t type) {
  return type == AttributeProto::kGraphs || type == AttributeProto::kSparseTensors ||
         type == AttributeProto::kTypeProtos;
}

DType element_type(std::int32_t code, const std::string& about) {
  if (code == 0) return DType::kUndefined;
  if (!is_dtype(code)) {
    throw ModelError(about + " has the unknown element type " + std::to_string(code));
  }
  return static_cast<DType>(code);
}

// Appends the type, outermost first (Container::holds).
void append_type(const TypeProto& proto, const std::string& about, std::vector<DType>& type) {
  switch (proto.kind) {
    case TypeProto::kTensor: type.push_back(element_type(proto.elem_type, about)); return;
    case TypeProto::kSequence: type.push_back(DType::kSequence); break;
    case TypeProto::kOptional: type.push_back(DType::kOptional); break;
    case TypeProto::kMap:
      type.push_back(DType::kMap);
      type.push_back(element_type(proto.key_type, about));
      break;
    default: type.push_back(DType::kUndefined); return;
  }
  if (proto.element != nullptr) append_type(*proto.element, about, type);
}

AttrValue value_of(const AttributeProto& a, const OpsetMap& opsets, TensorSource& source) {
  switch (type_of(a)) {
    case AttributeProto::kFloat: return a.f;
    case AttributeProto::kInt: return a.i;
    case AttributeProto::kString: return std::string(a.s);
    case AttributeProto::kFloats: return a.floats;
    case AttributeProto::kInts: return a.ints;
    case AttributeProto::kStrings: return strings(a.strings);
    case AttributeProto::kTensor:
      if (a.t == nullptr) throw ModelError("has no tensor");
      return source.make(*a.t);
    case AttributeProto::kSparseTensor:
      if (a.sparse_tensor == nullptr) throw ModelError("has no tensor");
      return source.make(*a.sparse_tensor);
    case AttributeProto::kTensors: {
      std::vector<Tensor> tensors;
      for (const TensorProto& t : a.tensors) tensors.push_back(source.make(t));
      return tensors;
    }
    case AttributeProto::kGraph:
      if (a.g == nullptr) throw ModelError("has no graph");
      return std::make_shared<DraftGraph>(make_draft(*a.g, opsets, source));
    case AttributeProto::kTypeProto: {
      if (a.tp == nullptr) throw ModelError("has no type");
      ValueType type;
      append_type(*a.tp, "the type", type.type);
      return type;
    }
    case AttributeProto::kUndefined: throw ModelError("has neither a type nor a value");
    default: throw ModelError("has the unknown type code " + std::to_string(a.type));
  }
}

const char* foreign_name(TypeProto::Kind kind) {
  switch (kind) {
    case TypeProto::kOpaque: return "an opaque object";
    case TypeProto::kSparse: return "a sparse tensor";
    default: return nullptr;
  }
}

DraftValue make_value(const ValueInfoProto& info) {
  DraftValue value;
  value.name = info.name;
  value.foreign = foreign_name(info.type.kind);
  if (info.type.kind == TypeProto::kNone || value.foreign != nullptr) return value;
  std::vector<DType> type;
  append_type(info.type, "value " + quoted(info.name), type);
  value.dtype = type[0];
  if (info.type.kind != TypeProto::kTensor) {
    value.holds.assign(type.begin() + 1, type.end());
    value.ranked = true;  // one object: the shape has no dimensions
    return value;
  }
  value.ranked = info.type.has_shape;
  if (info.type.dims.size() > static_cast<std::size_t>(kMaxRank)) {
    throw ModelError("value " + quoted(info.name) + " has " +
                     std::to_string(info.type.dims.size()) + " dimensions, at most " +
                     std::to_string(kMaxRank) + " are supported");
  }
  for (const DimensionProto& dim : info.type.dims) {
    // Some exporters write -1 for a dimension that is free.
    const bool known = dim.has_value && dim.value >= 0;
    value.shape.push_back(known ? dim.value : kUnknown);
    value.dim_names.emplace_back(known ? std::string_view{} : dim.param);
  }
  return value;
}

}  // namespace

std::string_view canonical_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view{} : domain;
}

OpsetMap make_opsets(const std::vector<OperatorSetId>& imports) {
  OpsetMap opsets;
  for (const OperatorSetId& id : imports) {
    std::int64_t& version = opsets[std::string(canonical_domain(id.domain))];
    version = std::max(version, id.version);
  }
  return opsets;
}

std::string label(const DraftNode& node) {
  const std::string op = node.domain.empty() ? node.op : node.domain + ":" + node.op;
  return "node " + quoted(node.name) + " (" + op.substr(0, 100) + ")";
}

DraftAttr make_draft(const AttributeProto& attribute, const OpsetMap& opsets,
                     TensorSource& source) {
  DraftAttr result;
  result.reference = attribute.ref_attr_name;
  if (result.reference.empty() && !is_foreign(type_of(attribute))) {
    result.value = std::make_shared<const AttrValue>(value_of(attribute, opsets, source));
  }
  return result;
}

DraftNode make_draft(const NodeProto& proto, const OpsetMap& opsets, TensorSource& source) {
  DraftNode node;
  node.domain = canonical_domain(proto.domain);
  node.op = proto.op_type;
  node.overload = proto.overload;
  node.inputs = strings(proto.input);
  node.outputs = strings(proto.output);
  while (!node.inputs.empty() && node.inputs.back().empty()) node.inputs.pop_back();
  while (!node.outputs.empty() && node.outputs.back().empty()) node.outputs.pop_back();
  node.name = proto.name;
  if (node.name.empty()) node.name = node.op + (node.outputs.empty() ? "" : "_" + node.outputs[0]);
  const auto opset = opsets.find(node.domain);
  node.opset = opset == opsets.end() ? 0 : opset->second;
  node.version = node.opset;
  for (const AttributeProto& a : proto.attribute) {
    try {
      const bool added = node.attributes.emplace(a.name, make_draft(a, opsets, source)).second;
      if (!added) throw ModelError("is given twice");
    } catch (const ModelError& error) {
      throw ModelError(label(node) + ": attribute " + quoted(a.name) + ": " + error.what());
    }
  }
  return node;
}

DraftGraph make_draft(const GraphProto& proto, const OpsetMap& opsets, TensorSource& source) {
  DraftGraph graph;
  graph.name = proto.name;
  for (const ValueInfoProto& info : proto.input) graph.inputs.push_back(make_value(info));
  for (const ValueInfoProto& info : proto.output) graph.outputs.push_back(make_value(info));
  for (const ValueInfoProto& info : proto.value_info) {
    const DraftValue value = make_value(info);
    if (value.dtype != DType::kUndefined && !is_container(value.dtype)) {
      graph.hints.emplace(value.name, value.dtype);
    }
  }
  for (const TensorProto& tensor : proto.initializer) {
    graph.constants.push_back(
        {std::string(tensor.name), std::make_shared<const Tensor>(source.make(tensor))});
  }
  for (const SparseTensorProto& tensor : proto.sparse_initializer) {
    graph.constants.push_back(
        {std::string(tensor.values.name), std::make_shared<const Tensor>(source.make(tensor))});
  }
  graph.nodes.reserve(proto.node.size());
  for (const NodeProto& node : proto.node) graph.nodes.push_back(make_draft(node, opsets, source));
  return graph;
}

std::string Names::fresh(std::string_view wanted) {
  constexpr std::size_t kMost = 200;
  std::string name(wanted.substr(0, kMost));
  while (name.size() < wanted.size() && !is_utf8(name)) name.pop_back();
  if (used_.insert(name).second) return name;
  std::int64_t& next = next_[name];
  while (true) {
    std::string numbered = name + "_" + std::to_string(++next);
    if (used_.insert(numbered).second) return numbered;
  }
}

void Names::collect(const DraftGraph& graph) {
  for (const DraftValue& value : graph.inputs) used_.insert(value.name);
  for (const DraftConstant& constant : graph.constants) used_.insert(constant.name);
  for (const DraftNode& node : graph.nodes) {
    used_.insert(node.outputs.begin(), node.outputs.end());
    for (const auto& [name, attribute] : node.attributes) {
      if (attribute.value == nullptr) continue;
      if (const auto* body = std::get_if<std::shared_ptr<DraftGraph>>(attribute.value.get())) {
        collect(**body);
      }
    }
  }
}

}  // namespace lanewise::onnx
