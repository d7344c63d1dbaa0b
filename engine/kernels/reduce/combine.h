// The step of each reduction on vectors. Included by the reduction kernels only.
#pragma once

#include "engine/kernels/reduce/reduce.h"
#include "engine/simd/math.h"

namespace lanewise::LANEWISE_ISA {

// A running result; `nan` marks lanes that have met a NaN, which a maximum alone would forget.
struct Running {
  F32 value;
  I32 nan;
};

template <kernels::Reduction r>
LANEWISE_INLINE F32 start() {
  if constexpr (r == kernels::Reduction::kMax) return -infinity();
  if constexpr (r == kernels::Reduction::kMin) return infinity();
  return F32{};
}

template <kernels::Reduction r>
LANEWISE_INLINE void take(Running& running, F32 x) {
  using kernels::Reduction;
  if constexpr (r == Reduction::kSum) running.value += x;
  if constexpr (r == Reduction::kSumAbs) running.value += abs(x);
  if constexpr (r == Reduction::kSumSquare) running.value = fma(x, x, running.value);
  if constexpr (r == Reduction::kMax) running.value = max(x, running.value);
  if constexpr (r == Reduction::kMin) running.value = min(x, running.value);
  if constexpr (r == Reduction::kMax || r == Reduction::kMin) running.nan |= x != x;
}

template <kernels::Reduction r>
LANEWISE_INLINE double combine(double a, double b) {
  using kernels::Reduction;
  if constexpr (r == Reduction::kMax) return a > b || a != a ? a : b;
  if constexpr (r == Reduction::kMin) return a < b || a != a ? a : b;
  return a + b;
}

// The lanes, with NaN where one was met.
template <kernels::Reduction r>
LANEWISE_INLINE F32 result(const Running& running) {
  if constexpr (r == kernels::Reduction::kMax || r == kernels::Reduction::kMin) {
    return running.nan ? splat(__builtin_nanf("")) : running.value;
  }
  return running.value;
}

}  // namespace lanewise::LANEWISE_ISA
