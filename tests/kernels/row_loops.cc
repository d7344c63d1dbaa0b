// Masked scores, scaled sums, and pairs that turn, in place and elsewhere.
#include "engine/kernels/attention/attention.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

void test_hide(Case& c, const kernels::RowLoops& kernel, std::int64_t n) {
  const float* old = c.floats(n);
  const bool* mask = c.filled<bool>(n, [&](std::int64_t) { return c.flip(); });
  auto* row = c.room<float>(n);
  for (std::int64_t i = 0; i < n; ++i) row[i] = old[i];
  kernel.hide(row, mask, n);
  for (std::int64_t i = 0; i < n; ++i)
    c.expect(row[i], mask[i] ? double{old[i]} : -INFINITY, 0.0, "score", i);
}

void test_add_scaled(Case& c, const kernels::RowLoops& kernel, std::int64_t n) {
  const float* x = c.floats(n);
  const float* old = c.floats(n);
  const float factor = c.number();
  auto* y = c.room<float>(n);
  for (std::int64_t i = 0; i < n; ++i) y[i] = old[i];
  kernel.add_scaled(x, factor, y, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const double product = double{x[i]} * double{factor};
    c.expect(y[i], double{old[i]} + product,
             gamma(2) * (std::fabs(double{old[i]}) + std::fabs(product)), "sum", i);
  }
}

void test_turn(Case& c, const kernels::RowLoops& kernel, std::int64_t half) {
  const bool neighbours = c.flip(), in_place = c.flip();
  const float* old = c.floats(2 * half);
  const float* cosine = c.floats(half);
  const float* sine = c.floats(half);
  auto* y = c.room<float>(2 * half);
  for (std::int64_t i = 0; in_place && i < 2 * half; ++i) y[i] = old[i];
  const float* x = in_place ? y : old;
  neighbours ? kernel.turn_neighbours(x, cosine, sine, y, half)
             : kernel.turn_halves(x, cosine, sine, y, half);
  for (std::int64_t i = 0; i < half; ++i) {
    const std::int64_t first = neighbours ? 2 * i : i, second = neighbours ? 2 * i + 1 : i + half;
    const double a = old[first], b = old[second], co = cosine[i], si = sine[i];
    const double size = std::fabs(a * co) + std::fabs(b * si);
    const double other = std::fabs(a * si) + std::fabs(b * co);
    c.expect(y[first], co * a - si * b, gamma(2) * size, "first of a pair", first);
    c.expect(y[second], si * a + co * b, gamma(2) * other, "second of a pair", second);
  }
}

}  // namespace

void test_row_loops(Case& c) {
  const kernels::RowLoops& kernel = kernels::row_loops(c.isa());
  const std::int64_t n = c.size(16, 4), which = c.pick(0, 2);
  c.describe("loop %ld, %ld elements", static_cast<long>(which), static_cast<long>(n));
  if (which == 0) test_hide(c, kernel, n);
  if (which == 1) test_add_scaled(c, kernel, n);
  if (which == 2) test_turn(c, kernel, n);
}

}  // namespace lanewise::testing
