// Sizes and names of the element types.
#include "engine/base/dtype.h"

#include <array>

namespace lanewise {
namespace {

struct Info {
  std::string_view name;
  std::size_t size;
};

constexpr std::array<Info, 29> kInfo = {{
    {"undefined", 0},      {"float32", 4},    {"uint8", 1},
    {"int8", 1},           {"uint16", 2},     {"int16", 2},
    {"int32", 4},          {"int64", 8},      {"string", sizeof(std::string)},
    {"bool", 1},           {"float16", 2},    {"float64", 8},
    {"uint32", 4},         {"uint64", 8},     {"complex64", 8},
    {"complex128", 16},    {"bfloat16", 2},   {"float8e4m3fn", 1},
    {"float8e4m3fnuz", 1}, {"float8e5m2", 1}, {"float8e5m2fnuz", 1},
    {"uint4", 1},          {"int4", 1},       {"float4e2m1", 1},
    {"float8e8m0", 1},     {"uint2", 1},      {"int2", 1},
    {"float6e2m3", 1},     {"float6e3m2", 1},
}};

constexpr Info kSequenceInfo = {"sequence", 0};
constexpr Info kOptionalInfo = {"optional", 0};
constexpr Info kMapInfo = {"map", 0};

const Info& info(DType dtype) {
  switch (dtype) {
    case DType::kSequence: return kSequenceInfo;
    case DType::kOptional: return kOptionalInfo;
    case DType::kMap: return kMapInfo;
    default: return kInfo[static_cast<std::size_t>(dtype)];
  }
}

}  // namespace

std::size_t dtype_size(DType dtype) { return info(dtype).size; }

std::string_view dtype_name(DType dtype) { return info(dtype).name; }

bool is_dtype(std::int64_t code) {
  return code > 0 && code < static_cast<std::int64_t>(kInfo.size());
}

bool is_floating(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 ||
         dtype == DType::kBFloat16;
}

bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64:
    case DType::kUInt8:
    case DType::kUInt16:
    case DType::kUInt32:
    case DType::kUInt64: return true;
    default: return false;
  }
}

}  // namespace lanewise
