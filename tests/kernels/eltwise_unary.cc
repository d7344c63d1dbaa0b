// Functions of one operand: those of one rounding exactly, the others within a few ulp.
#include <algorithm>
#include <limits>

#include "engine/kernels/eltwise/eltwise.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

using kernels::Unary;

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu_tanh(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double shrink(double x, double lambd, double bias) {
  return x < -lambd ? x + bias : x > lambd ? x - bias : 0.0;
}

double apply(Unary f, double x, double alpha, double beta) {
  switch (f) {
    case Unary::kRelu: return std::max(x, 0.0);
    case Unary::kLeakyRelu: return x < 0 ? alpha * x : x;
    case Unary::kElu: return x < 0 ? alpha * std::expm1(x) : x;
    case Unary::kSelu: return beta * (x < 0 ? alpha * std::expm1(x) : x);
    case Unary::kCelu: return x < 0 ? alpha * std::expm1(x / alpha) : x;
    case Unary::kSigmoid: return sigmoid(x);
    case Unary::kTanh: return std::tanh(x);
    case Unary::kHardSigmoid: return std::max(0.0, std::min(1.0, alpha * x + beta));
    case Unary::kHardSwish: return x * std::max(0.0, std::min(1.0, x / 6 + 0.5));
    case Unary::kSoftplus: return softplus(x);
    case Unary::kSoftsign: return x / (1 + std::fabs(x));
    case Unary::kGelu: return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Unary::kGeluTanh: return gelu_tanh(x);
    case Unary::kMish: return x * std::tanh(softplus(x));
    case Unary::kClip: return std::min(beta, std::max(alpha, x));
    case Unary::kThresholdedRelu: return x > alpha ? x : 0.0;
    case Unary::kShrink: return shrink(x, alpha, beta);
    case Unary::kSwish: return x * sigmoid(alpha * x);
    case Unary::kErf: return std::erf(x);
    case Unary::kAbs: return std::fabs(x);
    case Unary::kNeg: return -x;
    case Unary::kSqrt: return std::sqrt(x);
    case Unary::kExp: return std::exp(x);
    case Unary::kLog: return std::log(x);
    case Unary::kReciprocal: return 1 / x;
    case Unary::kFloor: return std::floor(x);
    case Unary::kCeil: return std::ceil(x);
    case Unary::kRound: return std::nearbyint(x);
    case Unary::kSign: return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0;
    case Unary::kCount: break;
  }
  return x;
}

bool rounds_once(Unary f) {
  constexpr Unary kOnce[] = {
      Unary::kRelu, Unary::kLeakyRelu, Unary::kClip,       Unary::kShrink,          Unary::kAbs,
      Unary::kNeg,  Unary::kSqrt,      Unary::kReciprocal, Unary::kThresholdedRelu, Unary::kFloor,
      Unary::kCeil, Unary::kRound,     Unary::kSign};
  return std::find(std::begin(kOnce), std::end(kOnce), f) != std::end(kOnce);
}

}  // namespace

void test_eltwise_unary(Case& c) {
  const kernels::EltwiseUnary& kernel = kernels::eltwise_unary(c.isa());
  const auto f = static_cast<Unary>(c.pick(0, static_cast<std::int64_t>(Unary::kCount) - 1));
  const std::int64_t n = c.size(16, 4, 0);
  const bool in_place = c.flip();
  const bool positive = f == Unary::kSqrt || f == Unary::kLog || f == Unary::kReciprocal;
  const double range = c.flip() ? 2.0 : 30.0;
  const float alpha = f == Unary::kClip ? -0.5f : 0.75f, beta = 1.5f;
  c.describe("function %d of %ld, in place %d", static_cast<int>(f), static_cast<long>(n),
             in_place);
  const float* x = c.filled<float>(n, [&](std::int64_t) {
    if (c.pick(0, 15) == 0) return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(positive ? c.uniform(1e-3, range) : c.uniform(-range, range));
  });
  auto* y = c.room<float>(n);
  for (std::int64_t i = 0; in_place && i < n; ++i) y[i] = x[i];
  kernel.run[static_cast<int>(f)](in_place ? y : x, y, n, alpha, beta);
  for (std::int64_t i = 0; i < n; ++i) {
    const double want =
        std::isnan(x[i]) ? std::numeric_limits<double>::quiet_NaN() : apply(f, x[i], alpha, beta);
    if (rounds_once(f)) {
      c.expect(y[i], static_cast<float>(want), 0.0, "output", i);
    } else {
      // GELU's negative tail cancels: its error is that of x times a rounding of 1.
      const bool cancels = f == Unary::kGelu || f == Unary::kGeluTanh || f == Unary::kHardSwish;
      const double size = std::fabs(want) + (cancels ? std::fabs(double{x[i]}) : 0.0);
      const double argument = f == Unary::kHardSigmoid ? 1.0 + range : 0.0;
      // A scaled argument rounds, and an exponential magnifies that by the argument's size.
      const double relative = std::isnan(x[i]) ? 0.0 : gamma(10 + std::fabs(double{x[i]}));
      c.expect(y[i], want, relative * size + gamma(2) * argument + 0x1p-140, "output", i);
    }
  }
}

}  // namespace lanewise::testing
