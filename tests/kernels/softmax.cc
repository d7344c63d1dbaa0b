// Softmax and its logarithm over adjacent and side-by-side groups.
#include <algorithm>
#include <limits>

#include "engine/kernels/reduce/reduce.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

void expect_group(Case& c, const float* x, const float* y, std::int64_t n, std::int64_t inner,
                  bool logarithm) {
  double most = -std::numeric_limits<double>::infinity(), sum = 0.0, spread = 0.0;
  bool nan = false;
  for (std::int64_t k = 0; k < n; ++k) {
    most = std::max(most, double{x[k * inner]});
    nan = nan || std::isnan(x[k * inner]);
  }
  for (std::int64_t k = 0; k < n; ++k) {
    sum += std::exp(double{x[k * inner]} - most);
    spread = std::max(spread, most - double{x[k * inner]});
  }
  for (std::int64_t k = 0; k < n; ++k) {
    const double shifted = double{x[k * inner]} - most;
    const double value = logarithm ? shifted - std::log(sum) : std::exp(shifted) / sum;
    const double want = nan ? std::numeric_limits<double>::quiet_NaN() : value;
    // The difference from the maximum rounds by its own size; each exponential, the sum and its
    // inverse follow.
    const double relative = gamma(static_cast<double>(n) + 12 + spread);
    c.expect(y[k * inner], want,
             relative * (logarithm ? 1 + std::fabs(value) : std::fabs(value)) + 0x1p-140, "output",
             k);
  }
}

}  // namespace

void test_softmax(Case& c) {
  const kernels::Softmax& kernel = kernels::softmax(c.isa());
  const bool logarithm = c.flip(), in_place = c.flip(), nan = c.pick(0, 7) == 0;
  const std::int64_t rows = c.pick(0, 3), n = c.size(16, 5);
  const std::int64_t inner = c.flip() ? 1 : c.size(16, 3);
  c.describe("%s, %ld rows of %ld x %ld, in place %d", logarithm ? "log_softmax" : "softmax",
             static_cast<long>(rows), static_cast<long>(n), static_cast<long>(inner), in_place);
  const std::int64_t count = rows * n * inner;
  const float* x = c.filled<float>(count, [&](std::int64_t) {
    if (nan && c.pick(0, 99) == 0) return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(c.uniform(-20.0, 20.0));
  });
  auto* y = c.room<float>(count);
  for (std::int64_t i = 0; in_place && i < count; ++i) y[i] = x[i];
  (logarithm ? kernel.log_softmax : kernel.softmax)(in_place ? y : x, y, rows, n, inner);
  for (std::int64_t i = 0; i < rows * inner; ++i) {
    const std::int64_t at = i / inner * n * inner + i % inner;
    expect_group(c, x + at, y + at, n, inner, logarithm);
  }
}

}  // namespace lanewise::testing
