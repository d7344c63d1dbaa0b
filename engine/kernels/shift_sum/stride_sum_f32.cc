// isas: baseline avx2 avx512
// Sums of spread partial products: the outputs of a pixel are one vector. Outputs that leave the
// same remainder by the stride take the same taps, each from `step` input pixels before the last.
#include <numeric>

#include "engine/kernels/shift_sum/shift_sum.h"
#include "engine/kernels/taps.h"
#include "engine/simd/activation.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::StrideSum;

// The taps of the outputs x = phase + j * stride: tap m reads input pixel shift + j - m * step, at
// `offset` floats from the pixel's first partial plus m * next.
struct Phase {
  std::int64_t count = 0, shift = 0, step = 1, offset = 0, next = 0;
};

Phase make_phase(const StrideSum& s, std::int64_t phase) {
  Phase result;
  const std::int64_t period = s.stride / std::gcd(s.stride, s.dilation);
  for (std::int64_t k = 0; k < s.taps && k < period; ++k) {
    const std::int64_t distance = phase + s.pad - k * s.dilation;
    if (distance % s.stride != 0) continue;
    result.count = (s.taps - k + period - 1) / period;
    result.shift = distance / s.stride;
    result.step = period * s.dilation / s.stride;
    result.offset = k * s.outputs;
    result.next = period * s.outputs - result.step * s.partial_step;
    break;
  }
  return result;
}

void row(const StrideSum& s) noexcept {
  const kernels::Epilogue& e = s.epilogue;
  const F32 alpha = splat(e.alpha), beta = splat(e.beta);
  const F32 bias = e.bias != nullptr ? load_first(e.bias, s.outputs) : F32{};
  for (std::int64_t first = 0; first < s.stride && first < s.out_width; ++first) {
    const Phase p = make_phase(s, first);
    std::int64_t pixel = p.shift;
    for (std::int64_t x = first; x < s.out_width; x += s.stride, ++pixel) {
      F32 sum = bias;
      if (e.residual != nullptr) sum += load_first(e.residual + x * e.residual_stride, s.outputs);
      kernels::TapRange taps{0, p.count};
      if (pixel < (p.count - 1) * p.step || pixel >= s.in_width) {
        taps = kernels::tap_range(-pixel, p.count, p.step, 1 - s.in_width, 1);
      }
      const std::int64_t at = pixel * s.partial_step + p.offset + taps.first * p.next;
      for (std::int64_t line = 0; line < s.lines; ++line) {
        const float* from = s.partial[line] + at;
        for (std::int64_t m = taps.first; m < taps.last; ++m, from += p.next) sum += load(from);
      }
      store_first(s.out + x * s.outputs, activate(e.activation, sum, alpha, beta), s.outputs);
    }
  }
}

}  // namespace

extern const kernels::StrideSumF32 stride_sum_f32;
const kernels::StrideSumF32 stride_sum_f32 = {.lanes = kLanes, .row = row};

}  // namespace lanewise::LANEWISE_ISA
