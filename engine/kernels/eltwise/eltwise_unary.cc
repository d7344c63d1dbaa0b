// isas: baseline avx2 avx512
// Functions of one float32 array. NaN passes through all of them.
#include <utility>

#include "engine/kernels/eltwise/eltwise.h"
#include "engine/simd/activation.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Activation;
using kernels::Unary;

// log(1 + e^x), from e^-|x|.
LANEWISE_INLINE F32 softplus(F32 v) { return max(splat(0.0f), v) + log1p_positive(exp(-abs(v))); }

// x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2); beyond 20 that is x in float32.
LANEWISE_INLINE F32 mish(F32 v) {
  const F32 e = exp(v > 20.0f ? splat(20.0f) : v);
  const F32 n = e * (e + 2.0f);
  return v > 20.0f ? v : v * (n / (n + 2.0f));
}

LANEWISE_INLINE F32 gelu_tanh(F32 v) {
  const F32 inner = v * 0.79788456f * fma(v * v, splat(0.044715f), splat(1.0f));
  return v * 0.5f * (tanh(inner) + 1.0f);
}

LANEWISE_INLINE F32 shrink(F32 v, F32 lambd, F32 bias) {
  const F32 inside = v != v ? v : F32{};
  return v < -lambd ? v + bias : (v > lambd ? v - bias : inside);
}

LANEWISE_INLINE F32 sign(F32 v) {
  return v > 0.0f ? splat(1.0f) : (v < 0.0f ? splat(-1.0f) : v + 0.0f);  // -0 gives 0
}

template <Unary f>
LANEWISE_INLINE F32 apply_activation(F32 v, F32 alpha, F32 beta) {
  if constexpr (f == Unary::kRelu) return activate<Activation::kRelu>(v, alpha, beta);
  if constexpr (f == Unary::kLeakyRelu) return activate<Activation::kLeakyRelu>(v, alpha, beta);
  if constexpr (f == Unary::kElu) return activate<Activation::kElu>(v, alpha, beta);
  if constexpr (f == Unary::kSelu) return beta * activate<Activation::kElu>(v, alpha, beta);
  if constexpr (f == Unary::kCelu) return v < 0.0f ? alpha * expm1(v / alpha) : v;
  if constexpr (f == Unary::kSigmoid) return sigmoid(v);
  if constexpr (f == Unary::kTanh) return tanh(v);
  if constexpr (f == Unary::kHardSigmoid) return activate<Activation::kHardSigmoid>(v, alpha, beta);
  if constexpr (f == Unary::kHardSwish) return activate<Activation::kHardSwish>(v, alpha, beta);
  if constexpr (f == Unary::kSoftplus) return softplus(v);
  if constexpr (f == Unary::kSoftsign) return v / (abs(v) + 1.0f);
  if constexpr (f == Unary::kGelu) return gelu_erf(v);
  if constexpr (f == Unary::kGeluTanh) return gelu_tanh(v);
  if constexpr (f == Unary::kMish) return mish(v);
  if constexpr (f == Unary::kClip) return activate<Activation::kClip>(v, alpha, beta);
  if constexpr (f == Unary::kThresholdedRelu) return v > alpha ? v : (v != v ? v : F32{});
  if constexpr (f == Unary::kShrink) return shrink(v, alpha, beta);
  if constexpr (f == Unary::kSwish) return v * sigmoid(alpha * v);
  return v;
}

template <Unary f>
LANEWISE_INLINE F32 apply(F32 v, F32 alpha, F32 beta) {
  if constexpr (f == Unary::kErf) return erf(v);
  if constexpr (f == Unary::kAbs) return abs(v);
  if constexpr (f == Unary::kNeg) return -v;
  if constexpr (f == Unary::kSqrt) return square_root(v);
  if constexpr (f == Unary::kExp) return exp(v);
  if constexpr (f == Unary::kLog) return log(v);
  if constexpr (f == Unary::kReciprocal) return 1.0f / v;
  if constexpr (f == Unary::kFloor) return floor(v);
  if constexpr (f == Unary::kCeil) return ceil(v);
  if constexpr (f == Unary::kRound) return round_even(v);
  if constexpr (f == Unary::kSign) return sign(v);
  return apply_activation<f>(v, alpha, beta);
}

template <Unary f>
void map(const float* x, float* y, std::int64_t n, float alpha, float beta) noexcept {
  const F32 a = splat(alpha), b = splat(beta);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, apply<f>(load(x + i), a, b));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_first(y + i, apply<f>(load_first(x + i, rest), a, b), rest);
}

template <int... f>
constexpr kernels::EltwiseUnary table(std::integer_sequence<int, f...>) {
  return {{map<static_cast<Unary>(f)>...}};
}

}  // namespace

extern const kernels::EltwiseUnary eltwise_unary;
constexpr kernels::EltwiseUnary eltwise_unary =
    table(std::make_integer_sequence<int, static_cast<int>(Unary::kCount)>{});

}  // namespace lanewise::LANEWISE_ISA
