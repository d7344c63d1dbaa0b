// The reductions in float64. float32 sums have at most 64 terms per lane and chain.
#pragma once

#include <algorithm>
#include <limits>

#include "engine/kernels/reduce/reduce.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

// Compares a result with the reduction of the elements that `x` gives, and of `before`.
template <class At>
void expect_reduced(Case& c, kernels::Reduction r, const At& x, std::int64_t n, double before,
                    double got, std::int64_t at) {
  using kernels::Reduction;
  Sum sum;
  double extreme = before;
  bool nan = std::isnan(before);
  sum.add(before);
  for (std::int64_t i = 0; i < n; ++i) {
    const double value = x(i);
    nan = nan || std::isnan(value);
    if (r == Reduction::kSum) sum.add(value);
    if (r == Reduction::kSumAbs) sum.add(std::fabs(value));
    if (r == Reduction::kSumSquare) sum.add(value * value);
    if (r == Reduction::kMax) extreme = std::max(extreme, value);
    if (r == Reduction::kMin) extreme = std::min(extreme, value);
  }
  const bool selects = r == Reduction::kMax || r == Reduction::kMin;
  const double want = nan       ? std::numeric_limits<double>::quiet_NaN()
                      : selects ? extreme
                                : sum.value;
  c.expect(got, want, selects || c.exact() ? 0.0 : gamma(64 + 6) * sum.size, "result", at);
}

// Numbers, some of them NaN where the reduction must keep it.
inline const float* reducible(Case& c, kernels::Reduction r, std::int64_t n) {
  const bool selects = r == kernels::Reduction::kMax || r == kernels::Reduction::kMin;
  const bool nan = selects && c.flip();
  return c.filled<float>(n, [&](std::int64_t) {
    return nan && c.pick(0, 40) == 0 ? std::numeric_limits<float>::quiet_NaN() : c.number();
  });
}

}  // namespace lanewise::testing
