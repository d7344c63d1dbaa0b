// A row of 224 pixels of three outputs from nine columns of partial sums.
#include "bench/kernels/work.h"
#include "engine/kernels/shift_sum/shift_sum.h"

namespace lanewise::bench {

std::vector<Work> bench_shift_sum_f32(Isa isa) {
  constexpr std::int64_t kWidth = 224, kTaps = 9;
  constexpr int kOutputs = 3;
  const kernels::ShiftSumF32& kernel = kernels::shift_sum_f32(isa);
  const auto partial = floats(kWidth * kTaps * kOutputs + kernel.lanes);
  const auto out = floats(kWidth * kOutputs);
  return {{"9 taps of 3", 0, 4.0 * (kTaps + 1) * kOutputs * kWidth, [=] {
             kernel.row({.partial = partial->data(),
                         .partial_step = kTaps * kOutputs,
                         .in_width = kWidth,
                         .taps = kTaps,
                         .pad = kTaps / 2,
                         .outputs = kOutputs,
                         .out = out->data(),
                         .out_width = kWidth});
           }}};
}

}  // namespace lanewise::bench
