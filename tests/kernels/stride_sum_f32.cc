// Sums of spread partial products, with strides, padding, dilation and epilogues.
#include "engine/kernels/shift_sum/shift_sum.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {

void test_stride_sum_f32(Case& c) {
  const kernels::StrideSumF32& kernel = kernels::stride_sum_f32(c.isa());
  kernels::StrideSum s;
  s.outputs = static_cast<int>(c.pick(1, kernel.lanes));
  s.taps = c.pick(1, 9);
  s.stride = c.pick(1, 4);
  s.dilation = c.pick(1, 3);
  s.pad = c.pick(0, s.taps * s.dilation + 2);
  s.lines = c.pick(0, 3);
  s.in_width = c.size(8, 3);
  s.out_width = c.size(8, 5);
  s.partial_step = s.taps * s.outputs + c.pick(0, 5);
  c.describe("%d outputs, %ld lines, %ld taps, stride %ld, dilation %ld, pad %ld, %ld of %ld",
             s.outputs, static_cast<long>(s.lines), static_cast<long>(s.taps),
             static_cast<long>(s.stride), static_cast<long>(s.dilation), static_cast<long>(s.pad),
             static_cast<long>(s.out_width), static_cast<long>(s.in_width));
  const float* lines[3];
  for (std::int64_t line = 0; line < s.lines; ++line)
    lines[line] = c.floats(s.in_width * s.partial_step + kernel.lanes);
  s.partial = lines;
  s.epilogue = draw_epilogue(c, s.out_width, s.outputs);
  s.out = c.room<float>(s.out_width * s.outputs);
  kernel.row(s);
  for (std::int64_t at = 0; at < s.out_width * s.outputs; ++at) {
    const std::int64_t x = at / s.outputs, o = at % s.outputs;
    Sum sum;
    if (s.epilogue.bias != nullptr) sum.add(s.epilogue.bias[o]);
    if (s.epilogue.residual != nullptr)
      sum.add(s.epilogue.residual[x * s.epilogue.residual_stride + o]);
    for (std::int64_t line = 0; line < s.lines; ++line) {
      for (std::int64_t k = 0; k < s.taps; ++k) {
        const std::int64_t distance = x + s.pad - k * s.dilation;
        const std::int64_t from = distance / s.stride;
        if (distance < 0 || distance % s.stride != 0 || from >= s.in_width) continue;
        sum.add(lines[line][from * s.partial_step + k * s.outputs + o]);
      }
    }
    const double terms = static_cast<double>(s.lines * s.taps + 3);
    expect_activated(c, s.out[at], sum, terms, s.epilogue, at, c.exact());
  }
}

}  // namespace lanewise::testing
