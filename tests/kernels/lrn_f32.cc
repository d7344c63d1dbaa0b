// Local response normalisation over dense pixels and over planes.
#include <algorithm>
#include <vector>

#include "engine/kernels/lrn/lrn.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

// Element `at` of the channels that `x` gives.
template <class At>
void expect_normalised(Case& c, const kernels::Lrn& lrn, const At& x, std::int64_t channel,
                       float got, std::int64_t at) {
  Sum squares;
  const std::int64_t last = std::min(lrn.channels - 1, channel + lrn.after);
  for (std::int64_t i = std::max<std::int64_t>(0, channel - lrn.before); i <= last; ++i) {
    squares.add(double{x(i)} * double{x(i)});
  }
  const double base = double{lrn.bias} + double{lrn.scale} * squares.value;
  const double want = double{x(channel)} * std::pow(base, -double{lrn.beta});
  const double terms = static_cast<double>(lrn.before + lrn.after) + 20;
  c.expect(got, want, gamma(terms) * (1 + std::fabs(std::log(base))) * std::fabs(want), "output",
           at);
}

}  // namespace

void test_lrn_f32(Case& c) {
  const kernels::LrnF32& kernel = kernels::lrn_f32(c.isa());
  constexpr float kBetas[] = {0.75f, 0.5f, 1.0f, 0.6f};
  kernels::Lrn lrn;
  lrn.channels = c.size(16, 3);
  lrn.before = c.pick(0, 4);
  lrn.after = c.pick(0, 4);
  lrn.scale = 0.125f;
  lrn.bias = c.flip() ? 1.0f : 2.0f;
  lrn.beta = kBetas[c.pick(0, 3)];
  const std::int64_t pixels = c.size(16, 2);
  const bool planes = c.flip();
  c.describe("%s, %ld channels, %ld before, %ld after, beta %g, %ld pixels",
             planes ? "planes" : "pixels", static_cast<long>(lrn.channels),
             static_cast<long>(lrn.before), static_cast<long>(lrn.after), double{lrn.beta},
             static_cast<long>(pixels));
  const float* x = c.floats(lrn.channels * pixels);
  auto* y = c.room<float>(lrn.channels * pixels);
  if (!planes) {
    const std::int64_t scratch = kernels::lrn_scratch(lrn);
    auto* squares = c.room<float>(scratch);
    std::fill_n(squares, scratch, 0.0f);
    kernel.pixels(lrn, x, pixels, squares, y);
    for (std::int64_t i = 0; i < scratch; ++i) c.expect(squares[i], 0.0, 0.0, "scratch", i);
    for (std::int64_t at = 0; at < lrn.channels * pixels; ++at) {
      const float* pixel = x + at / lrn.channels * lrn.channels;
      expect_normalised(
          c, lrn, [&](std::int64_t i) { return pixel[i]; }, at % lrn.channels, y[at], at);
    }
    return;
  }
  const std::int64_t begin = c.pick(0, pixels - 1), end = c.pick(begin, pixels);
  kernel.planes(lrn, x, pixels, begin, end, y);
  for (std::int64_t at = 0; at < lrn.channels * pixels; ++at) {
    const std::int64_t pixel = at % pixels;
    if (pixel < begin || pixel >= end) {
      c.expect_untouched(y[at], "a pixel outside the range", at);
      continue;
    }
    expect_normalised(
        c, lrn, [&](std::int64_t i) { return x[i * pixels + pixel]; }, at / pixels, y[at], at);
  }
}

}  // namespace lanewise::testing
