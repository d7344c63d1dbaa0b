// Dot products with the rows of a matrix, and weighted sums of its rows.
#include <vector>

#include "engine/kernels/attention/attention.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

void test_few_rows(Case& c) {
  const bool dots = c.flip();
  kernels::FewRowsProduct p;
  p.count = c.pick(1, 9);
  p.depth = c.size(16, 4);
  p.columns = c.size(16, 5);
  const std::int64_t width = dots ? p.depth : p.columns, height = dots ? p.columns : p.depth;
  p.b_stride = width + c.pick(0, 3);
  p.y_stride = p.columns + c.pick(0, 3);
  p.scale = 0.5f;
  c.describe("%s, %ld rows of %ld, %ld columns", dots ? "dots" : "sums", static_cast<long>(p.count),
             static_cast<long>(p.depth), static_cast<long>(p.columns));
  p.b = c.floats((height - 1) * p.b_stride + width);
  std::vector<const float*> rows;
  for (std::int64_t r = 0; r < p.count; ++r) rows.push_back(c.floats(p.depth));
  p.rows = rows.data();
  const std::int64_t results = (p.count - 1) * p.y_stride + p.columns;
  p.y = c.room<float>(results);
  const kernels::FewRows& kernel = kernels::few_rows(c.isa());
  dots ? kernel.dots(p) : kernel.sums(p);
  for (std::int64_t at = 0; at < results; ++at) {
    const std::int64_t r = at / p.y_stride, j = at % p.y_stride;
    if (j >= p.columns) {
      c.expect_untouched(p.y[at], "between rows", at);
      continue;
    }
    Sum sum;
    for (std::int64_t i = 0; i < p.depth; ++i) {
      const float b = dots ? p.b[j * p.b_stride + i] : p.b[i * p.b_stride + j];
      sum.add(double{rows[static_cast<std::size_t>(r)][i]} * double{b} * double{p.scale});
    }
    const double bound = c.exact() ? 0.0 : gamma(static_cast<double>(p.depth) + 8) * sum.size;
    c.expect(p.y[at], sum.value, bound, "output", at);
  }
}

}  // namespace lanewise::testing
