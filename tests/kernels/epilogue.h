// The epilogue of the product kernels: drawn, and computed in float64.
#pragma once

#include <algorithm>
#include <cmath>

#include "engine/kernels/epilogue.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

inline double activation(kernels::Activation f, double x, double alpha, double beta) {
  using kernels::Activation;
  switch (f) {
    case Activation::kNone: return x;
    case Activation::kRelu: return std::max(x, 0.0);
    case Activation::kLeakyRelu: return x < 0 ? alpha * x : x;
    case Activation::kClip: return std::min(std::max(x, alpha), beta);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-x));
    case Activation::kTanh: return std::tanh(x);
    case Activation::kHardSigmoid: return std::max(0.0, std::min(1.0, alpha * x + beta));
    case Activation::kHardSwish: return x * std::max(0.0, std::min(1.0, x / 6 + 0.5));
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kElu: return x < 0 ? alpha * std::expm1(x) : x;
    case Activation::kGelu: return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
  }
  return x;
}

// Rows of `columns` outputs. The residual is `rows` long with a stride of its own.
inline kernels::Epilogue draw_epilogue(Case& c, std::int64_t rows, std::int64_t columns) {
  kernels::Epilogue e;
  if (c.flip()) e.bias = c.floats(columns);
  if (c.flip()) {
    e.residual_stride = columns + c.pick(0, 3);
    e.residual = c.floats((rows - 1) * e.residual_stride + columns);
  }
  constexpr int kActivations = static_cast<int>(kernels::Activation::kGelu) + 1;
  e.activation = c.flip() ? kernels::Activation::kNone
                          : static_cast<kernels::Activation>(c.pick(0, kActivations - 1));
  e.alpha = -0.5f;
  e.beta = 1.25f;
  if (e.activation == kernels::Activation::kHardSigmoid) e.alpha = 0.25f;
  return e;
}

// Compares one output with the sum of `terms` products, bias and residual among its terms; an exact
// sum has no rounding.
inline void expect_activated(Case& c, float got, const Sum& sum, double terms,
                             const kernels::Epilogue& e, std::int64_t at, bool exact) {
  using kernels::Activation;
  const double want = activation(e.activation, sum.value, e.alpha, e.beta);
  double bound = exact ? 0.0 : gamma(terms + 1) * sum.size;
  const bool selects = e.activation == Activation::kNone || e.activation == Activation::kRelu ||
                       e.activation == Activation::kClip;
  // No activation is steeper than 2; the others round a few times of their own.
  if (!selects) bound = 2 * bound + 16 * kUnit * (std::fabs(want) + std::fabs(sum.value) + 1);
  c.expect(got, want, bound, "output", at);
}

}  // namespace lanewise::testing
