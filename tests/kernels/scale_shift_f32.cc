// The scaling of normalisation, with activations, in place and not.
#include <vector>

#include "engine/kernels/moments/moments.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {
namespace {

void expect_scaled(Case& c, float got, double x, double mean, double scale, double shift,
                   const kernels::Epilogue& e, std::int64_t at) {
  Sum sum;
  sum.add((x - mean) * scale);
  sum.add(shift);
  expect_activated(c, got, sum, 3.0, e, at, c.exact());
}

}  // namespace

void test_scale_shift_f32(Case& c) {
  const kernels::ScaleShiftF32& kernel = kernels::scale_shift_f32(c.isa());
  const std::int64_t n = c.size(16, 4, 0), how = c.pick(0, 2);
  const std::int64_t rows = how == 2 ? c.pick(0, 4) : 1;
  const bool in_place = c.flip(), shifted = how == 2 || c.flip();
  c.describe("function %ld, %ld rows of %ld, in place %d", static_cast<long>(how),
             static_cast<long>(rows), static_cast<long>(n), in_place);
  // Rows of x that lie apart end with their last element.
  const std::int64_t stride = n + (how == 2 && !in_place ? c.pick(0, 5) : 0);
  const float* x = c.floats(rows == 0 ? 0 : (rows - 1) * stride + n);
  const float* mean = c.floats(how == 2 ? n : 1);
  const float* scale = c.floats(how == 0 ? 1 : n);
  const float* shift = c.floats(how == 0 ? 1 : n);
  const float inverse = c.number();
  kernels::Epilogue e = draw_epilogue(c, 1, 1);  // its activation alone
  if (how == 1) e.activation = kernels::Activation::kNone;
  const kernels::ActivationCall activation{e.activation, e.alpha, e.beta};
  auto* y = c.room<float>(rows * n);
  for (std::int64_t i = 0; in_place && i < rows * n; ++i) y[i] = x[i];
  const float* from = in_place ? y : x;
  if (how == 0) kernel.uniform(from, n, *mean, *scale, *shift, activation, y);
  if (how == 1) kernel.vectors(from, n, *mean, inverse, scale, shifted ? shift : nullptr, y);
  if (how == 2) kernel.columns(from, rows, n, stride, mean, scale, shift, activation, y);
  for (std::int64_t i = 0; i < rows * n; ++i) {
    const std::int64_t j = i % n;
    const double value = x[i / n * stride + j];
    if (how == 0) expect_scaled(c, y[i], value, *mean, *scale, *shift, e, i);
    if (how == 1) {
      expect_scaled(c, y[i], value, *mean, double{inverse} * double{scale[j]},
                    shifted ? shift[j] : 0.0, e, i);
    }
    if (how == 2) expect_scaled(c, y[i], value, mean[j], scale[j], shift[j], e, i);
  }
}

}  // namespace lanewise::testing
