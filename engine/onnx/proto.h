// ONNX's messages as structs of views into the bytes of the file: field numbers and nesting, no
// meaning. Names follow onnx.proto. Tensors' contents become arrays in tensor_data.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace lanewise::onnx {

using Entry = std::pair<std::string_view, std::string_view>;

struct TensorProto {
  std::string_view name;
  std::int32_t data_type = 0;
  std::vector<std::int64_t> dims;
  bool has_raw_data = false;
  bool has_segment = false;
  std::string_view raw_data;
  // Chunks of packed values (or single values): bytes of floats and doubles, varints for the rest.
  std::vector<std::string_view> float_data, int32_data, int64_data, double_data, uint64_data;
  std::vector<std::string_view> string_data;
  std::int64_t data_location = 0;
  std::vector<Entry> external_data;
};

struct SparseTensorProto {
  TensorProto values, indices;
  std::vector<std::int64_t> dims;
};

struct DimensionProto {
  bool has_value = false;
  std::int64_t value = 0;
  std::string_view param;
};

struct TypeProto {
  enum Kind { kNone, kTensor, kSequence, kMap, kOpaque, kSparse, kOptional };
  Kind kind = kNone;
  std::int32_t elem_type = 0;
  bool has_shape = false;
  std::vector<DimensionProto> dims;
  std::int32_t key_type = 0;                 // of a map
  std::unique_ptr<const TypeProto> element;  // of a sequence, an optional, or a map's values
};

struct ValueInfoProto {
  std::string_view name;
  TypeProto type;
};

struct GraphProto;

struct AttributeProto {
  enum Type {
    kUndefined,
    kFloat,
    kInt,
    kString,
    kTensor,
    kGraph,
    kFloats,
    kInts,
    kStrings,
    kTensors,
    kGraphs,
    kSparseTensor,
    kSparseTensors,
    kTypeProto,
    kTypeProtos
  };
  std::string_view name, ref_attr_name;
  std::int32_t type = kUndefined;
  bool has_f = false, has_i = false, has_s = false;
  float f = 0.0f;
  std::int64_t i = 0;
  std::string_view s;
  std::unique_ptr<TensorProto> t;
  std::unique_ptr<GraphProto> g;
  std::unique_ptr<SparseTensorProto> sparse_tensor;
  std::unique_ptr<TypeProto> tp;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::string_view> strings;
  std::vector<TensorProto> tensors;
};

struct NodeProto {
  std::string_view name, op_type, domain, overload;
  std::vector<std::string_view> input, output;
  std::vector<AttributeProto> attribute;
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> node;
  std::vector<TensorProto> initializer;
  std::vector<SparseTensorProto> sparse_initializer;
  std::vector<ValueInfoProto> input, output, value_info;
};

struct OperatorSetId {
  std::string_view domain;
  std::int64_t version = 0;
};

struct FunctionProto {
  std::string_view name, domain, overload;
  std::vector<std::string_view> input, output, attribute;
  std::vector<AttributeProto> attribute_proto;
  std::vector<NodeProto> node;
  std::vector<OperatorSetId> opset_import;
};

struct ModelProto {
  std::int64_t ir_version = 0, model_version = 0;
  std::string_view producer_name, producer_version, domain, doc_string;
  bool has_graph = false;
  GraphProto graph;
  std::vector<OperatorSetId> opset_import;
  std::vector<Entry> metadata_props;
  std::vector<FunctionProto> functions;
};

// Throws ModelError when the bytes are not such a message. The views point into `bytes`.
ModelProto parse_model(std::string_view bytes);

}  // namespace lanewise::onnx
