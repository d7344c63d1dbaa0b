// Local response normalisation across channels.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

// y[c] = x[c] / (bias + scale * sum of x[i]^2 for c - before <= i <= c + after)^beta, channels
// outside counting as zero. `scale` is alpha / size, and size is before + 1 + after.
struct Lrn {
  std::int64_t channels = 0, before = 0, after = 0;
  float scale = 0.0f, bias = 1.0f, beta = 0.75f;
};

struct LrnF32 {
  // `pixels` dense rows of channels; `squares` holds lrn_scratch() floats, zeros on entry and on
  // exit.
  void (*pixels)(const Lrn&, const float* x, std::int64_t pixels, float* squares,
                 float* y) noexcept;
  // Positions [begin, end) of channel planes of `size` positions.
  void (*planes)(const Lrn&, const float* x, std::int64_t size, std::int64_t begin,
                 std::int64_t end, float* y) noexcept;
};
const LrnF32& lrn_f32(Isa isa);

// Room for the squares of one pixel between zeros on both sides, and a vector past its end.
inline std::int64_t lrn_scratch(const Lrn& lrn) {
  return lrn.before + lrn.channels + lrn.after + 16;
}

}  // namespace lanewise::kernels
