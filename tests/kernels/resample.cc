// Weighted sums of rows, and of pixels at offsets.
#include "engine/kernels/resample/resample.h"

#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

void expect_sum(Case& c, float got, const Sum& sum, std::int64_t taps, std::int64_t at) {
  c.expect(got, sum.value, c.exact() ? 0.0 : gamma(static_cast<double>(taps) + 1) * sum.size,
           "output", at);
}

void test_rows(Case& c, const kernels::Resample& kernel) {
  const std::int64_t taps = c.pick(1, 5), n = c.size(16, 4, 0);
  c.describe("rows: %ld taps of %ld", static_cast<long>(taps), static_cast<long>(n));
  std::vector<const float*> rows;
  for (std::int64_t t = 0; t < taps; ++t) rows.push_back(c.floats(n));
  const float* weights = c.floats(taps);
  auto* out = c.room<float>(n);
  kernel.rows(rows.data(), weights, taps, out, n);
  for (std::int64_t i = 0; i < n; ++i) {
    Sum sum;
    for (std::int64_t t = 0; t < taps; ++t)
      sum.add(double{weights[t]} * double{rows[static_cast<std::size_t>(t)][i]});
    expect_sum(c, out[i], sum, taps, i);
  }
}

void test_pixels(Case& c, const kernels::Resample& kernel) {
  const std::int64_t taps = c.pick(1, 5), count = c.pick(0, 9), pixels = c.pick(1, 9);
  const std::int64_t inner = c.flip() ? 1 : c.size(16, 3);
  c.describe("pixels: %ld of %ld taps, %ld channels", static_cast<long>(count),
             static_cast<long>(taps), static_cast<long>(inner));
  const float* in = c.floats(pixels * inner);
  const auto* offsets = c.filled<std::int64_t>(
      count * taps, [&](std::int64_t) { return c.pick(0, pixels - 1) * inner; });
  const float* weights = c.floats(count * taps);
  auto* out = c.room<float>(count * inner);
  kernel.pixels(in, offsets, weights, taps, count, inner, out);
  for (std::int64_t i = 0; i < count * inner; ++i) {
    Sum sum;
    for (std::int64_t t = i / inner * taps; t < (i / inner + 1) * taps; ++t)
      sum.add(double{weights[t]} * double{in[offsets[t] + i % inner]});
    expect_sum(c, out[i], sum, taps, i);
  }
}

}  // namespace

void test_resample(Case& c) {
  const kernels::Resample& kernel = kernels::resample(c.isa());
  if (c.flip()) {
    test_rows(c, kernel);
  } else {
    test_pixels(c, kernel);
  }
}

}  // namespace lanewise::testing
