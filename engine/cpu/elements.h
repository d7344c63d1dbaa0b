// Elements as bytes: operators that move data are written once per element size, not per dtype.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include "engine/base/dtype.h"
#include "engine/graph/op.h"

namespace lanewise {

struct Bytes16 {
  std::uint64_t low, high;
};

// Calls f(std::type_identity<T>{}) with the unsigned type of the dtype's size, Bytes16, or
// std::string.
template <class F>
void visit_element(DType dtype, F&& f) {
  if (dtype == DType::kString) return f(std::type_identity<std::string>{});
  switch (dtype_size(dtype)) {
    case 1: return f(std::type_identity<std::uint8_t>{});
    case 2: return f(std::type_identity<std::uint16_t>{});
    case 4: return f(std::type_identity<std::uint32_t>{});
    case 8: return f(std::type_identity<std::uint64_t>{});
    default: return f(std::type_identity<Bytes16>{});
  }
}

// Writes element i of an array of float64, or else float32.
inline void set_value(void* data, DType dtype, std::int64_t i, double value) {
  if (dtype == DType::kFloat64)
    static_cast<double*>(data)[i] = value;
  else
    static_cast<float*>(data)[i] = static_cast<float>(value);
}

// OpDef::flops of an operator that computes nothing.
inline double no_flops(const OpContext&, std::span<const ValueInfo>) { return 0.0; }

}  // namespace lanewise
