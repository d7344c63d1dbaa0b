// Field numbers of onnx.proto. A message that appears twice is merged, as protocol buffers do.
#include "engine/onnx/proto.h"

#include <string>
#include <utility>

#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

void parse(WireReader r, Entry& entry);
void parse(WireReader r, OperatorSetId& id);
void parse(WireReader r, TensorProto& tensor);
void parse(WireReader r, SparseTensorProto& sparse);
void parse(WireReader r, DimensionProto& dim);
void parse(WireReader r, TypeProto& type, int depth);
void parse(WireReader r, ValueInfoProto& info);
void parse(WireReader r, AttributeProto& attribute, int depth);
void parse(WireReader r, NodeProto& node, int depth);
void parse(WireReader r, GraphProto& graph, int depth);
void parse(WireReader r, FunctionProto& function);

// Appends a new element and parses the current field into it.
template <class T, class... Depth>
void parse_item(const WireReader& r, std::vector<T>& list, Depth... depth) {
  if (r.is_message()) parse(WireReader(r.message(), r.origin()), list.emplace_back(), depth...);
}

template <class T, class... Depth>
void parse_single(const WireReader& r, T& item, Depth... depth) {
  if (r.is_message()) parse(WireReader(r.message(), r.origin()), item, depth...);
}

template <class T, class... Depth>
void parse_pointer(const WireReader& r, std::unique_ptr<T>& item, Depth... depth) {
  if (!r.is_message()) return;
  if (item == nullptr) item = std::make_unique<T>();
  parse_single(r, *item, depth...);
}

void append_text(const WireReader& r, std::vector<std::string_view>& list) {
  if (r.is_message()) list.push_back(r.text());
}

void append_bytes(const WireReader& r, std::vector<std::string_view>& list) {
  if (r.is_message()) list.push_back(r.message());
}

void parse(WireReader r, Entry& entry) {
  while (r.next()) {
    if (r.field() == 1) r.read_text(entry.first);
    if (r.field() == 2) r.read_text(entry.second);
  }
}

void parse(WireReader r, OperatorSetId& id) {
  while (r.next()) {
    if (r.field() == 1) r.read_text(id.domain);
    if (r.field() == 2) r.read(id.version);
  }
}

void parse(WireReader r, TensorProto& tensor) {
  while (r.next()) {
    switch (r.field()) {
      case 1: r.append(tensor.dims); break;
      case 2: r.read(tensor.data_type); break;
      case 3: tensor.has_segment = true; break;
      case 4: r.append_packed(5, tensor.float_data); break;
      case 5: r.append_packed(0, tensor.int32_data); break;
      case 6: append_bytes(r, tensor.string_data); break;
      case 7: r.append_packed(0, tensor.int64_data); break;
      case 8: r.read_text(tensor.name); break;
      case 9: r.read(tensor.has_raw_data, tensor.raw_data); break;
      case 10: r.append_packed(1, tensor.double_data); break;
      case 11: r.append_packed(0, tensor.uint64_data); break;
      case 13: parse_item(r, tensor.external_data); break;
      case 14: r.read(tensor.data_location); break;
      default: break;
    }
  }
}

void parse(WireReader r, SparseTensorProto& sparse) {
  while (r.next()) {
    if (r.field() == 1) parse_single(r, sparse.values);
    if (r.field() == 2) parse_single(r, sparse.indices);
    if (r.field() == 3) r.append(sparse.dims);
  }
}

void parse(WireReader r, DimensionProto& dim) {
  while (r.next()) {
    if (r.field() == 1) r.read(dim.has_value, dim.value);
    if (r.field() == 2) r.read_text(dim.param);
  }
}

// TypeProto.Tensor, with the dimensions of its TensorShapeProto.
void parse_tensor_type(WireReader r, TypeProto& type) {
  while (r.next()) {
    if (r.field() == 1) r.read(type.elem_type);
    if (r.field() == 2 && r.is_message()) {
      type.has_shape = true;
      WireReader shape(r.message(), r.origin());
      while (shape.next()) {
        if (shape.field() == 1) parse_item(shape, type.dims);
      }
    }
  }
}

// TypeProto.Sequence, .Optional or .Map: the type of what it holds, and a map's key.
void parse_container_type(WireReader r, TypeProto::Kind kind, TypeProto& type, int depth) {
  type.kind = kind;
  const std::uint32_t element = kind == TypeProto::kMap ? 2 : 1;
  while (r.next()) {
    if (kind == TypeProto::kMap && r.field() == 1) r.read(type.key_type);
    if (r.field() == element && r.is_message()) {
      auto held = std::make_unique<TypeProto>();
      parse(WireReader(r.message(), r.origin()), *held, depth + 1);
      type.element = std::move(held);
    }
  }
}

void parse(WireReader r, TypeProto& type, int depth) {
  if (depth > kMaxDepth) {
    r.fail("types are nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  const auto container = [&](TypeProto::Kind kind) {
    if (r.is_message()) {
      parse_container_type(WireReader(r.message(), r.origin()), kind, type, depth);
    }
  };
  while (r.next()) {
    switch (r.field()) {
      case 1:
        type.kind = TypeProto::kTensor;
        if (r.is_message()) parse_tensor_type(WireReader(r.message(), r.origin()), type);
        break;
      case 4: container(TypeProto::kSequence); break;
      case 5: container(TypeProto::kMap); break;
      case 7: type.kind = TypeProto::kOpaque; break;
      case 8: type.kind = TypeProto::kSparse; break;
      case 9: container(TypeProto::kOptional); break;
      default: break;
    }
  }
}

void parse(WireReader r, ValueInfoProto& info) {
  while (r.next()) {
    if (r.field() == 1) r.read_text(info.name);
    if (r.field() == 2) parse_single(r, info.type, 0);
  }
}

void parse(WireReader r, AttributeProto& attribute, int depth) {
  while (r.next()) {
    switch (r.field()) {
      case 1: r.read_text(attribute.name); break;
      case 2: r.read(attribute.has_f, attribute.f); break;
      case 3: r.read(attribute.has_i, attribute.i); break;
      case 4: r.read(attribute.has_s, attribute.s); break;
      case 5: parse_pointer(r, attribute.t); break;
      case 6: parse_pointer(r, attribute.g, depth + 1); break;
      case 7: r.append(attribute.floats); break;
      case 8: r.append(attribute.ints); break;
      case 9: append_bytes(r, attribute.strings); break;
      case 10: parse_item(r, attribute.tensors); break;
      case 14: parse_pointer(r, attribute.tp, 0); break;
      case 20: r.read(attribute.type); break;
      case 21: r.read_text(attribute.ref_attr_name); break;
      case 22: parse_pointer(r, attribute.sparse_tensor); break;
      default: break;
    }
  }
}

void parse(WireReader r, NodeProto& node, int depth) {
  while (r.next()) {
    switch (r.field()) {
      case 1: append_text(r, node.input); break;
      case 2: append_text(r, node.output); break;
      case 3: r.read_text(node.name); break;
      case 4: r.read_text(node.op_type); break;
      case 5: parse_item(r, node.attribute, depth); break;
      case 7: r.read_text(node.domain); break;
      case 8: r.read_text(node.overload); break;
      default: break;
    }
  }
  if (node.op_type.empty()) r.fail("a node without an operator ends");
}

void parse(WireReader r, GraphProto& graph, int depth) {
  if (depth > kMaxDepth) {
    r.fail("graphs are nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  while (r.next()) {
    switch (r.field()) {
      case 1: parse_item(r, graph.node, depth); break;
      case 2: r.read_text(graph.name); break;
      case 5: parse_item(r, graph.initializer); break;
      case 11: parse_item(r, graph.input); break;
      case 12: parse_item(r, graph.output); break;
      case 13: parse_item(r, graph.value_info); break;
      case 15: parse_item(r, graph.sparse_initializer); break;
      default: break;
    }
  }
}

void parse(WireReader r, FunctionProto& function) {
  while (r.next()) {
    switch (r.field()) {
      case 1: r.read_text(function.name); break;
      case 4: append_text(r, function.input); break;
      case 5: append_text(r, function.output); break;
      case 6: append_text(r, function.attribute); break;
      case 7: parse_item(r, function.node, 0); break;
      case 9: parse_item(r, function.opset_import); break;
      case 10: r.read_text(function.domain); break;
      case 11: parse_item(r, function.attribute_proto, 0); break;
      case 13: r.read_text(function.overload); break;
      default: break;
    }
  }
}

}  // namespace

ModelProto parse_model(std::string_view bytes) {
  ModelProto model;
  WireReader r(bytes, bytes.data());
  while (r.next()) {
    switch (r.field()) {
      case 1: r.read(model.ir_version); break;
      case 2: r.read_text(model.producer_name); break;
      case 3: r.read_text(model.producer_version); break;
      case 4: r.read_text(model.domain); break;
      case 5: r.read(model.model_version); break;
      case 6: r.read_text(model.doc_string); break;
      case 7:
        model.has_graph = model.has_graph || r.is_message();
        parse_single(r, model.graph, 0);
        break;
      case 8: parse_item(r, model.opset_import); break;
      case 14: parse_item(r, model.metadata_props); break;
      case 25: parse_item(r, model.functions); break;
      default: break;
    }
  }
  if (!model.has_graph) r.fail("no graph was found, the file ends");
  return model;
}

}  // namespace lanewise::onnx
