// Sums of shifted partial products, with padding, dilation and epilogues.
#include "engine/kernels/shift_sum/shift_sum.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {

void test_shift_sum_f32(Case& c) {
  const kernels::ShiftSumF32& kernel = kernels::shift_sum_f32(c.isa());
  kernels::ShiftSum s;
  s.outputs = static_cast<int>(c.pick(1, kernel.lanes));
  s.taps = c.pick(1, 9);
  s.dilation = c.pick(1, 3);
  s.pad = c.pick(0, s.taps * s.dilation + 2);
  s.in_width = c.size(8, 3);
  s.out_width = c.size(8, 3);
  s.partial_step = s.taps * s.outputs + c.pick(0, 5);
  c.describe("%d outputs, %ld taps, dilation %ld, pad %ld, %ld of %ld", s.outputs,
             static_cast<long>(s.taps), static_cast<long>(s.dilation), static_cast<long>(s.pad),
             static_cast<long>(s.out_width), static_cast<long>(s.in_width));
  s.partial = c.floats(s.in_width * s.partial_step + kernel.lanes);
  s.epilogue = draw_epilogue(c, s.out_width, s.outputs);
  s.out = c.room<float>(s.out_width * s.outputs);
  kernel.row(s);
  for (std::int64_t at = 0; at < s.out_width * s.outputs; ++at) {
    const std::int64_t x = at / s.outputs, o = at % s.outputs;
    Sum sum;
    if (s.epilogue.bias != nullptr) sum.add(s.epilogue.bias[o]);
    if (s.epilogue.residual != nullptr)
      sum.add(s.epilogue.residual[x * s.epilogue.residual_stride + o]);
    for (std::int64_t k = 0; k < s.taps; ++k) {
      const std::int64_t from = x - s.pad + k * s.dilation;
      if (from < 0 || from >= s.in_width) continue;
      sum.add(s.partial[from * s.partial_step + k * s.outputs + o]);
    }
    expect_activated(c, s.out[at], sum, static_cast<double>(s.taps + 3), s.epilogue, at, c.exact());
  }
}

}  // namespace lanewise::testing
