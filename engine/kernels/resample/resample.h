// Weighted sums of rows and of pixels: what interpolating resizes are made of.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

struct Resample {
  // out[i] = sum over t of weights[t] * rows[t][i], for i in [0, n); taps >= 1, summed in order.
  void (*rows)(const float* const* rows, const float* weights, std::int64_t taps, float* out,
               std::int64_t n) noexcept;
  // out[x * inner + c] = sum over t of weights[x * taps + t] * in[offsets[x * taps + t] + c], for x
  // in [0, count) and c in [0, inner).
  void (*pixels)(const float* in, const std::int64_t* offsets, const float* weights,
                 std::int64_t taps, std::int64_t count, std::int64_t inner, float* out) noexcept;
};

const Resample& resample(Isa isa);

}  // namespace lanewise::kernels
