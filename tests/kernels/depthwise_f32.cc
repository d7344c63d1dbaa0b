// Rows of depthwise convolution: kernels with code of their own and others, padding, dilation.
#include "engine/kernels/depthwise/depthwise.h"
#include "tests/kernels/epilogue.h"
#include "tests/kernels/window.h"

namespace lanewise::testing {

void test_depthwise_f32(Case& c) {
  const kernels::DepthwiseF32& kernel = kernels::depthwise_f32(c.isa());
  const Window w = draw_window(c, kernel.lanes);
  const auto row_count = static_cast<std::int64_t>(w.rows.size());
  const std::int64_t filter_height = row_count + c.pick(0, 2);
  c.describe("%ld rows of %ld x %ld -> %ld, kernel %ld, stride %ld, dilation %ld, pad %ld",
             static_cast<long>(row_count), static_cast<long>(w.width),
             static_cast<long>(w.channels), static_cast<long>(w.out_width),
             static_cast<long>(w.kernel), static_cast<long>(w.stride),
             static_cast<long>(w.dilation), static_cast<long>(w.pad));
  kernels::DepthwiseRow r;
  r.in = c.floats(w.image());
  r.rows = c.filled<std::int64_t>(
      row_count, [&](std::int64_t i) { return w.rows[static_cast<std::size_t>(i)]; });
  const std::int64_t skipped = c.pick(0, filter_height - row_count);
  r.filter_rows = c.filled<std::int64_t>(row_count, [&](std::int64_t i) { return i + skipped; });
  r.row_count = row_count;
  r.width = w.width;
  r.channels = w.channels;
  r.weights = c.floats(filter_height * w.kernel * w.channels);
  r.out_width = w.out_width;
  r.kernel = w.kernel;
  r.stride = w.stride;
  r.dilation = w.dilation;
  r.pad = w.pad;
  r.epilogue = draw_epilogue(c, w.out_width, w.channels);
  r.out = c.room<float>(w.out_width * w.channels);
  kernel.row(r);

  for (std::int64_t at = 0; at < w.out_width * w.channels; ++at) {
    const std::int64_t o = at / w.channels, channel = at % w.channels;
    Sum sum;
    if (r.epilogue.bias != nullptr) sum.add(r.epilogue.bias[channel]);
    if (r.epilogue.residual != nullptr)
      sum.add(r.epilogue.residual[o * r.epilogue.residual_stride + channel]);
    for (std::int64_t i = 0; i < row_count * w.kernel; ++i) {
      const std::int64_t row = i / w.kernel, k = i % w.kernel, column = w.column(o, k);
      if (column < 0) continue;
      const float x = r.in[(r.rows[row] * w.width + column) * w.channels + channel];
      const float weight = r.weights[(r.filter_rows[row] * w.kernel + k) * w.channels + channel];
      sum.add(double{x} * double{weight});
    }
    expect_activated(c, r.out[at], sum, static_cast<double>(row_count * w.kernel + 3), r.epilogue,
                     at, c.exact());
  }
}

}  // namespace lanewise::testing
