// Rows of pooling: maximum with NaNs, mean with its counts, and both norms.
#include <algorithm>
#include <limits>

#include "engine/kernels/pool/pool.h"
#include "tests/kernels/window.h"

namespace lanewise::testing {
namespace {

// What the taps of one output element come to.
struct Taps {
  Sum sum, squares;
  double max = -std::numeric_limits<double>::infinity();
  std::int64_t count = 0;
};

Taps fold(const kernels::PoolRow<float>& r, const Window& w, std::int64_t o, std::int64_t channel) {
  Taps taps;
  for (std::int64_t i = 0; i < r.row_count * w.kernel; ++i) {
    const std::int64_t column = w.column(o, i % w.kernel);
    if (column < 0) continue;
    const double x = r.in[(r.rows[i / w.kernel] * w.width + column) * w.channels + channel];
    taps.sum.add(x);
    taps.squares.add(x * x);
    if (x > taps.max) taps.max = x;
    ++taps.count;
  }
  return taps;
}

}  // namespace

void test_pool_f32(Case& c) {
  const kernels::PoolF32& kernel = kernels::pool_f32(c.isa());
  const Window w = draw_window(c, 16);
  const auto row_count = static_cast<std::int64_t>(w.rows.size());
  const std::int64_t how = c.pick(0, 3);
  const bool nan = how == 0 && c.flip();
  c.describe("function %ld, %ld rows of %ld x %ld, kernel %ld, stride %ld, dilation %ld, pad %ld",
             static_cast<long>(how), static_cast<long>(row_count), static_cast<long>(w.width),
             static_cast<long>(w.channels), static_cast<long>(w.kernel),
             static_cast<long>(w.stride), static_cast<long>(w.dilation), static_cast<long>(w.pad));
  kernels::PoolRow<float> r;
  r.in = c.filled<float>(w.image(), [&](std::int64_t) {
    return nan && c.pick(0, 3) == 0 ? std::numeric_limits<float>::quiet_NaN() : c.number();
  });
  place_window(c, w, r);
  r.counted_rows = row_count + c.pick(0, 2);
  const std::int64_t margin = c.flip() ? w.pad : 0;
  r.counted_begin = -margin;
  r.counted_end = w.width + margin;
  r.out = c.room<float>(w.out_width * w.channels);
  constexpr void (*kernels::PoolF32::* kFunctions[])(const kernels::PoolRow<float>&) noexcept = {
      &kernels::PoolF32::max, &kernels::PoolF32::mean, &kernels::PoolF32::l1,
      &kernels::PoolF32::l2};
  (kernel.*kFunctions[how])(r);

  for (std::int64_t at = 0; at < w.out_width * w.channels; ++at) {
    const std::int64_t o = at / w.channels;
    const Taps taps = fold(r, w, o, at % w.channels);
    std::int64_t columns = 0;
    for (std::int64_t k = 0; k < w.kernel; ++k) {
      const std::int64_t column = o * w.stride - w.pad + k * w.dilation;
      columns += column >= r.counted_begin && column < r.counted_end ? 1 : 0;
    }
    const auto counted = static_cast<double>(std::max<std::int64_t>(1, r.counted_rows * columns));
    const double root = std::sqrt(taps.squares.value);
    const double want[] = {taps.max, taps.sum.value / counted, taps.sum.size, root};
    const double rounding = gamma(static_cast<double>(taps.count) + 3);
    const double bound[] = {0.0, rounding * taps.sum.size / counted,
                            c.exact() ? 0.0 : rounding * taps.sum.size, rounding * root};
    c.expect(r.out[at], want[how], bound[how], "output", at);
  }
}

}  // namespace lanewise::testing
