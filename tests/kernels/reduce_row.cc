// Reductions of adjacent elements, from none to several blocks.
#include "tests/kernels/reduce.h"

namespace lanewise::testing {

void test_reduce_row(Case& c) {
  const auto r = static_cast<kernels::Reduction>(
      c.pick(0, static_cast<std::int64_t>(kernels::Reduction::kCount) - 1));
  const std::int64_t n = c.flip() ? c.size(16, 9, 0) : c.pick(4000, 9000);
  c.describe("reduction %d of %ld", static_cast<int>(r), static_cast<long>(n));
  const float* x = reducible(c, r, n);
  const double got = kernels::reduce_row(c.isa()).run[static_cast<int>(r)](x, n);
  expect_reduced(
      c, r, [&](std::int64_t i) { return double{x[i]}; }, n, kernels::reduction_start(r), got, 0);
}

}  // namespace lanewise::testing
