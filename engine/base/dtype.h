// Element types: ONNX's own codes, their C++ types and a visitor over them.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/base/half.h"

namespace lanewise {

// Values are those of onnx.TensorProto.DataType.
enum class DType : std::uint8_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUInt8 = 2,
  kInt8 = 3,
  kUInt16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUInt32 = 12,
  kUInt64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBFloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUInt4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUInt2 = 25,
  kInt2 = 26,
  kFloat6E2M3 = 27,
  kFloat6E3M2 = 28,
  // No element types, and no codes of ONNX: values that hold others (graph/container.h).
  kSequence = 64,
  kOptional = 65,
  kMap = 66,
};

// Bytes per element in memory. Types below one byte are held one element per byte; 0 for
// kUndefined and containers, sizeof(std::string) for kString.
std::size_t dtype_size(DType dtype);

// NumPy's name for the type ("float32"), or ONNX's where NumPy has none ("float8e4m3fn").
std::string_view dtype_name(DType dtype);

// Whether `code` is an element type of ONNX: kUndefined and containers excluded.
bool is_dtype(std::int64_t code);

inline bool is_container(DType dtype) { return dtype >= DType::kSequence; }

bool is_floating(DType dtype);
bool is_integer(DType dtype);

template <class T>
struct DTypeOf;
#define LANEWISE_DTYPE_OF(type, code)           \
  template <>                                   \
  struct DTypeOf<type> {                        \
    static constexpr DType value = DType::code; \
  };
LANEWISE_DTYPE_OF(float, kFloat32)
LANEWISE_DTYPE_OF(double, kFloat64)
LANEWISE_DTYPE_OF(Float16, kFloat16)
LANEWISE_DTYPE_OF(BFloat16, kBFloat16)
LANEWISE_DTYPE_OF(std::uint8_t, kUInt8)
LANEWISE_DTYPE_OF(std::int8_t, kInt8)
LANEWISE_DTYPE_OF(std::uint16_t, kUInt16)
LANEWISE_DTYPE_OF(std::int16_t, kInt16)
LANEWISE_DTYPE_OF(std::uint32_t, kUInt32)
LANEWISE_DTYPE_OF(std::int32_t, kInt32)
LANEWISE_DTYPE_OF(std::uint64_t, kUInt64)
LANEWISE_DTYPE_OF(std::int64_t, kInt64)
LANEWISE_DTYPE_OF(bool, kBool)
LANEWISE_DTYPE_OF(std::string, kString)
#undef LANEWISE_DTYPE_OF

template <class T>
inline constexpr DType kDTypeOf = DTypeOf<T>::value;

// Calls f(std::type_identity<T>{}) with the C++ type of a number type (bool excluded) and returns
// true, or returns false when dtype is not among them.
template <class F>
bool visit_number(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32: f(std::type_identity<float>{}); return true;
    case DType::kFloat64: f(std::type_identity<double>{}); return true;
    case DType::kInt64: f(std::type_identity<std::int64_t>{}); return true;
    case DType::kInt32: f(std::type_identity<std::int32_t>{}); return true;
    case DType::kInt16: f(std::type_identity<std::int16_t>{}); return true;
    case DType::kInt8: f(std::type_identity<std::int8_t>{}); return true;
    case DType::kUInt64: f(std::type_identity<std::uint64_t>{}); return true;
    case DType::kUInt32: f(std::type_identity<std::uint32_t>{}); return true;
    case DType::kUInt16: f(std::type_identity<std::uint16_t>{}); return true;
    case DType::kUInt8: f(std::type_identity<std::uint8_t>{}); return true;
    default: return false;
  }
}

// Like visit_number, with the 16-bit floats and bool as well.
template <class F>
bool visit_scalar(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat16: f(std::type_identity<Float16>{}); return true;
    case DType::kBFloat16: f(std::type_identity<BFloat16>{}); return true;
    case DType::kBool: f(std::type_identity<bool>{}); return true;
    default: return visit_number(dtype, static_cast<F&&>(f));
  }
}

}  // namespace lanewise
