// A row of 256 pixels of three outputs from two lines of 4 x 4 taps at stride 2.
#include "bench/kernels/work.h"
#include "engine/kernels/shift_sum/shift_sum.h"

namespace lanewise::bench {

std::vector<Work> bench_stride_sum_f32(Isa isa) {
  constexpr std::int64_t kWidth = 128, kTaps = 4, kStep = 48;
  constexpr int kOutputs = 3;
  const kernels::StrideSumF32& kernel = kernels::stride_sum_f32(isa);
  const auto partial = floats(kWidth * kStep + kernel.lanes);
  const auto out = floats(2 * kWidth * kOutputs);
  return {{"2 lines of 4 taps of 3", 0, 4.0 * (2 * kTaps + 2) * kOutputs * kWidth, [=] {
             const float* lines[] = {partial->data(), partial->data() + 2 * kTaps * kOutputs};
             kernel.row({.partial = lines,
                         .lines = 2,
                         .partial_step = kStep,
                         .in_width = kWidth,
                         .taps = kTaps,
                         .stride = 2,
                         .pad = 1,
                         .outputs = kOutputs,
                         .out = out->data(),
                         .out_width = 2 * kWidth});
           }}};
}

}  // namespace lanewise::bench
