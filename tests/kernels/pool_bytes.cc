// Maximum pooling of bytes: the largest tap, or the least number where there is none.
#include <algorithm>
#include <limits>

#include "engine/kernels/pool/pool.h"
#include "tests/kernels/window.h"

namespace lanewise::testing {
namespace {

template <class T>
void test_max(Case& c, const Window& w, void (*kernel)(const kernels::PoolRow<T>&) noexcept) {
  using Limits = std::numeric_limits<T>;
  kernels::PoolRow<T> r;
  r.in = c.filled<T>(w.image(), [&](std::int64_t) {
    return static_cast<T>(c.pick(Limits::min(), Limits::max()));
  });
  place_window(c, w, r);
  r.out = c.room<T>(w.out_width * w.channels);
  kernel(r);
  for (std::int64_t at = 0; at < w.out_width * w.channels; ++at) {
    T want = Limits::min();
    for (std::int64_t i = 0; i < r.row_count * w.kernel; ++i) {
      const std::int64_t column = w.column(at / w.channels, i % w.kernel);
      if (column < 0) continue;
      const std::int64_t pixel = r.rows[i / w.kernel] * w.width + column;
      want = std::max(want, r.in[pixel * w.channels + at % w.channels]);
    }
    c.expect(r.out[at], want, 0.0, "output", at);
  }
}

}  // namespace

void test_pool_bytes(Case& c) {
  const kernels::PoolBytes& kernel = kernels::pool_bytes(c.isa());
  const Window w = draw_window(c, 64);
  const bool is_signed = c.flip();
  c.describe("%s, %zu rows of %ld x %ld, kernel %ld, stride %ld, dilation %ld, pad %ld",
             is_signed ? "signed" : "unsigned", w.rows.size(), static_cast<long>(w.width),
             static_cast<long>(w.channels), static_cast<long>(w.kernel),
             static_cast<long>(w.stride), static_cast<long>(w.dilation), static_cast<long>(w.pad));
  if (is_signed) {
    test_max<std::int8_t>(c, w, kernel.max_s8);
  } else {
    test_max<std::uint8_t>(c, w, kernel.max_u8);
  }
}

}  // namespace lanewise::testing
