// Reductions along a stride, on top of earlier totals.
#include "tests/kernels/reduce.h"

namespace lanewise::testing {

void test_reduce_columns(Case& c) {
  const auto r = static_cast<kernels::Reduction>(
      c.pick(0, static_cast<std::int64_t>(kernels::Reduction::kCount) - 1));
  const std::int64_t rows = c.size(64, 3, 0), cols = c.size(16, 9, 0);
  const std::int64_t stride = cols + c.pick(0, 5);
  c.describe("reduction %d of %ld x %ld", static_cast<int>(r), static_cast<long>(rows),
             static_cast<long>(cols));
  const float* x = reducible(c, r, rows * cols == 0 ? 0 : (rows - 1) * stride + cols);
  auto* total = c.room<double>(cols);
  std::vector<double> before;
  for (std::int64_t j = 0; j < cols; ++j) {
    before.push_back(c.flip() ? kernels::reduction_start(r) : double{c.number()});
    total[j] = before.back();
  }
  kernels::reduce_columns(c.isa()).run[static_cast<int>(r)](x, rows, stride, total, cols);
  for (std::int64_t j = 0; j < cols; ++j) {
    expect_reduced(
        c, r, [&](std::int64_t i) { return double{x[i * stride + j]}; }, rows,
        before[static_cast<std::size_t>(j)], total[j], j);
  }
}

}  // namespace lanewise::testing
