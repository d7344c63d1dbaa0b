// Sums, norms and extremes over rows and over columns.
#include <limits>
#include <vector>

#include "engine/kernels/moments/moments.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

// float32 sums have at most 64 terms per lane, each rounded up to three times.
constexpr double kRoundings = 64 + 3;

enum Fold : std::int64_t { kSum, kSumAbs, kSumSquares, kMax };

// One result, from the elements that `x` gives.
template <class At>
void expect_folded(Case& c, Fold fold, const At& x, std::int64_t n, double mean, double got,
                   std::int64_t at) {
  Sum sum, squares;
  double max = -std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < n; ++i) {
    const double value = x(i);
    sum.add(value);
    squares.add((value - mean) * (value - mean));
    if (value > max) max = value;
  }
  const double want[] = {sum.value, sum.size, squares.value, max};
  const double size[] = {sum.size, sum.size, squares.size, 0.0};
  c.expect(got, want[fold], c.exact() ? 0.0 : gamma(kRoundings) * size[fold], "result", at);
}

void test_rows(Case& c, const kernels::MomentsF32& kernel, Fold fold, float mean) {
  const std::int64_t n = c.flip() ? c.size(64, 3, 0) : c.pick(4000, 9000);
  c.describe("function %d over %ld elements", static_cast<int>(fold), static_cast<long>(n));
  const float* x = c.floats(n);
  double got = 0.0;
  if (fold == kSum) got = kernel.sum(x, n);
  if (fold == kSumAbs) got = kernel.sum_abs(x, n);
  if (fold == kSumSquares) got = kernel.sum_squares(x, n, mean);
  if (fold == kMax) got = kernel.max(x, n);
  expect_folded(c, fold, [&](std::int64_t i) { return x[i]; }, n, mean, got, 0);
}

void test_columns(Case& c, const kernels::MomentsF32& kernel, Fold fold) {
  const std::int64_t rows = c.size(64, 2, 0), columns = c.size(16, 9);
  const std::int64_t stride = columns + c.pick(0, 5);
  c.describe("function %d over columns of %ld x %ld", static_cast<int>(fold),
             static_cast<long>(rows), static_cast<long>(columns));
  // A NaN loses against every number in the maximum, and alone leaves minus infinity.
  const bool nan = fold == kMax && c.flip();
  const float* x =
      c.filled<float>(rows == 0 ? 0 : (rows - 1) * stride + columns, [&](std::int64_t) {
        return nan && c.pick(0, 2) == 0 ? std::numeric_limits<float>::quiet_NaN() : c.number();
      });
  const float* mean = c.floats(columns);
  auto* result = c.room<double>(columns);
  if (fold == kSum) kernel.column_sum(x, rows, columns, stride, result);
  if (fold == kSumAbs) kernel.column_sum_abs(x, rows, columns, stride, result);
  if (fold == kSumSquares) kernel.column_sum_squares(x, rows, columns, stride, mean, result);
  if (fold == kMax) kernel.column_max(x, rows, columns, stride, result);
  for (std::int64_t j = 0; j < columns; ++j) {
    expect_folded(
        c, fold, [&](std::int64_t i) { return x[i * stride + j]; }, rows, mean[j], result[j], j);
  }
}

}  // namespace

void test_moments_f32(Case& c) {
  const kernels::MomentsF32& kernel = kernels::moments_f32(c.isa());
  const auto fold = static_cast<Fold>(c.pick(kSum, kMax));
  const float mean = c.number();
  if (c.flip()) {
    test_rows(c, kernel, fold, mean);
  } else {
    test_columns(c, kernel, fold);
  }
}

}  // namespace lanewise::testing
