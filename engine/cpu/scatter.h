// How an update meets the element that it falls on, for the Scatter operators.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/graph/context.h"

namespace lanewise {

enum class Reduction { kNone, kAdd, kMul, kMax, kMin };

// The attribute `reduction`, checked against the dtype of input 0.
inline Reduction scatter_reduction(const OpContext& c) {
  const std::string_view name = c.attr_string("reduction");
  if (name.empty() || name == "none") return Reduction::kNone;
  if (!visit_scalar(c.dtype(0), [](auto) {})) {
    c.fail("reduction '" + std::string(name) + "' needs numbers, found " +
           std::string(dtype_name(c.dtype(0))));
  }
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  c.fail("attribute 'reduction' is '" + std::string(name) +
         "', expected none, add, mul, max or min");
}

// Integers wrap around; a NaN stays, as in NumPy.
template <class T>
T reduced(Reduction reduction, T old_value, T update) {
  if constexpr (std::is_integral_v<T>) {
    const auto a = static_cast<std::uint64_t>(old_value), b = static_cast<std::uint64_t>(update);
    if (reduction == Reduction::kAdd) return static_cast<T>(a + b);
    if (reduction == Reduction::kMul) return static_cast<T>(a * b);
    if (reduction == Reduction::kMax) return old_value > update ? old_value : update;
    return old_value < update ? old_value : update;
  } else {
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const Wide a = static_cast<Wide>(old_value), b = static_cast<Wide>(update);
    if (reduction == Reduction::kAdd) return T(a + b);
    if (reduction == Reduction::kMul) return T(a * b);
    if (std::isnan(a)) return old_value;
    if (reduction == Reduction::kMax) return a > b ? old_value : update;
    return a < b ? old_value : update;
  }
}

}  // namespace lanewise
