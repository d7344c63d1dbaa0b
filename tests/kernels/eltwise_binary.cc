// Functions of two operands under every kind of stride. One rounding each: the result is exact.
#include <limits>

#include "engine/kernels/eltwise/eltwise.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

float apply(kernels::Binary f, float a, float b) {
  using kernels::Binary;
  const bool nan = std::isnan(a) || std::isnan(b);
  switch (f) {
    case Binary::kAdd: return a + b;
    case Binary::kSub: return a - b;
    case Binary::kMul: return a * b;
    case Binary::kDiv: return a / b;
    case Binary::kMin: return nan ? std::numeric_limits<float>::quiet_NaN() : b < a ? b : a;
    case Binary::kMax: return nan ? std::numeric_limits<float>::quiet_NaN() : b > a ? b : a;
    default: return a < 0 ? a * b : a;
  }
}

}  // namespace

void test_eltwise_binary(Case& c) {
  const kernels::EltwiseBinary& kernel = kernels::eltwise_binary(c.isa());
  const std::int64_t f = c.pick(0, static_cast<std::int64_t>(kernels::Binary::kCount) - 1);
  kernels::BinaryBlock t;
  t.rows = c.pick(0, 4);
  t.cols = c.size(16, 4, 0);
  t.a_col = c.pick(0, 2);
  t.b_col = c.pick(0, 2);
  t.a_row = c.flip() ? 0 : t.cols * t.a_col + c.pick(0, 3);
  t.b_row = c.flip() ? 0 : t.cols * t.b_col + c.pick(0, 3);
  c.describe("function %ld, %ld x %ld, strides %ld %ld and %ld %ld", static_cast<long>(f),
             static_cast<long>(t.rows), static_cast<long>(t.cols), static_cast<long>(t.a_row),
             static_cast<long>(t.a_col), static_cast<long>(t.b_row), static_cast<long>(t.b_col));
  const auto value = [&](std::int64_t) {
    return c.pick(0, 15) == 0 ? std::numeric_limits<float>::quiet_NaN() : c.number();
  };
  const bool empty = t.rows * t.cols == 0;
  const auto room = [&](std::int64_t row, std::int64_t col) {
    return empty ? 0 : (t.rows - 1) * row + (t.cols - 1) * col + 1;
  };
  t.a = c.filled<float>(room(t.a_row, t.a_col), value);
  t.b = c.filled<float>(room(t.b_row, t.b_col), value);
  t.y = c.room<float>(t.rows * t.cols);
  const float* a = t.a;
  if (t.a_col == 1 && t.a_row == t.cols && c.flip()) {  // over the first operand
    for (std::int64_t i = 0; i < t.rows * t.cols; ++i) t.y[i] = a[i];
    t.a = t.y;
  }
  kernel.run[f](t);
  for (std::int64_t i = 0; i < t.rows * t.cols; ++i) {
    const std::int64_t row = i / t.cols, col = i % t.cols;
    c.expect(t.y[i],
             apply(static_cast<kernels::Binary>(f), a[row * t.a_row + col * t.a_col],
                   t.b[row * t.b_row + col * t.b_col]),
             0.0, "output", i);
  }
}

}  // namespace lanewise::testing
