// Loops that do nothing but what a machine's limits are counted in: multiply-adds and bytes read.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

struct PeakF32 {
  // Runs `iterations` rounds of independent multiply-adds on registers; returns the floating-point
  // operations done (a multiply-add is two).
  double (*fma)(std::int64_t iterations) noexcept;
  // Reads n floats once, in order; returns a sum, so that the reads cannot be left out.
  float (*read)(const float* data, std::int64_t n) noexcept;
};

const PeakF32& peak_f32(Isa isa);

}  // namespace lanewise::kernels
