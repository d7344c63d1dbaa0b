// isas: baseline avx2 avx512
// Sums of shifted partial products: the outputs of a pixel are one vector.
#include "engine/kernels/shift_sum/shift_sum.h"
#include "engine/kernels/taps.h"
#include "engine/simd/activation.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::ShiftSum;

void row(const ShiftSum& s) noexcept {
  const kernels::Epilogue& e = s.epilogue;
  const F32 alpha = splat(e.alpha), beta = splat(e.beta);
  const F32 bias = e.bias != nullptr ? load_first(e.bias, s.outputs) : F32{};
  const std::int64_t next = s.dilation * s.partial_step + s.outputs;
  for (std::int64_t x = 0; x < s.out_width; ++x) {
    const std::int64_t start = x - s.pad;
    const kernels::TapRange taps = kernels::tap_range(start, s.taps, s.dilation, 0, s.in_width);
    const float* from = s.partial + start * s.partial_step + taps.first * next;
    F32 sum = bias;
    if (e.residual != nullptr) sum += load_first(e.residual + x * e.residual_stride, s.outputs);
    for (std::int64_t k = taps.first; k < taps.last; ++k, from += next) sum += load(from);
    store_first(s.out + x * s.outputs, activate(e.activation, sum, alpha, beta), s.outputs);
  }
}

}  // namespace

extern const kernels::ShiftSumF32 shift_sum_f32;
const kernels::ShiftSumF32 shift_sum_f32 = {.lanes = kLanes, .row = row};

}  // namespace lanewise::LANEWISE_ISA
