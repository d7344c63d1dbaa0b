// The activations of kernels/epilogue.h on one vector: what GEMM, convolution and the element-wise
// kernels apply in registers. NaN in, NaN out. Included by kernels only.
#pragma once

#include "engine/kernels/epilogue.h"
#include "engine/simd/math.h"

namespace lanewise::LANEWISE_ISA {

// An activation known while compiling, passed as a value to generic lambdas.
template <kernels::Activation activation>
struct ActivationTag {
  static constexpr kernels::Activation value = activation;
};

LANEWISE_INLINE F32 gelu_erf(F32 v) { return v * 0.5f * (erf(v * 0.70710678f) + 1.0f); }
// max(0, min(1, v)); operands are ordered so that NaN passes.
LANEWISE_INLINE F32 clamp_unit(F32 v) { return min(splat(1.0f), max(splat(0.0f), v)); }

template <kernels::Activation activation>
LANEWISE_INLINE F32 activate(F32 v, F32 alpha, F32 beta) {
  using kernels::Activation;
  if constexpr (activation == Activation::kRelu) return max(splat(0.0f), v);
  if constexpr (activation == Activation::kLeakyRelu) return v < 0.0f ? v * alpha : v;
  if constexpr (activation == Activation::kClip) return min(beta, max(alpha, v));
  if constexpr (activation == Activation::kSigmoid) return sigmoid(v);
  if constexpr (activation == Activation::kTanh) return tanh(v);
  if constexpr (activation == Activation::kHardSigmoid) return clamp_unit(fma(v, alpha, beta));
  if constexpr (activation == Activation::kHardSwish) {
    return v * clamp_unit(fma(v, splat(1.0f / 6.0f), splat(0.5f)));
  }
  if constexpr (activation == Activation::kSilu) return v * sigmoid(v);
  if constexpr (activation == Activation::kElu) return v < 0.0f ? alpha * expm1(v) : v;
  if constexpr (activation == Activation::kGelu) return gelu_erf(v);
  return v;
}

// Calls f(ActivationTag<activation>{}): hoists the switch out of f's loops. f is compiled once for
// each activation; where that is too much code, use activate(activation, ...).
template <class F>
LANEWISE_INLINE void with_activation(kernels::Activation activation, F&& f) {
  using kernels::Activation;
  switch (activation) {
    case Activation::kNone: return f(ActivationTag<Activation::kNone>{});
    case Activation::kRelu: return f(ActivationTag<Activation::kRelu>{});
    case Activation::kLeakyRelu: return f(ActivationTag<Activation::kLeakyRelu>{});
    case Activation::kClip: return f(ActivationTag<Activation::kClip>{});
    case Activation::kSigmoid: return f(ActivationTag<Activation::kSigmoid>{});
    case Activation::kTanh: return f(ActivationTag<Activation::kTanh>{});
    case Activation::kHardSigmoid: return f(ActivationTag<Activation::kHardSigmoid>{});
    case Activation::kHardSwish: return f(ActivationTag<Activation::kHardSwish>{});
    case Activation::kSilu: return f(ActivationTag<Activation::kSilu>{});
    case Activation::kElu: return f(ActivationTag<Activation::kElu>{});
    case Activation::kGelu: return f(ActivationTag<Activation::kGelu>{});
  }
}

// Chosen at run time; a predictable branch per vector.
LANEWISE_INLINE F32 activate(kernels::Activation activation, F32 v, F32 alpha, F32 beta) {
  using kernels::Activation;
  switch (activation) {
    case Activation::kNone: return v;
    case Activation::kRelu: return activate<Activation::kRelu>(v, alpha, beta);
    case Activation::kLeakyRelu: return activate<Activation::kLeakyRelu>(v, alpha, beta);
    case Activation::kClip: return activate<Activation::kClip>(v, alpha, beta);
    case Activation::kSigmoid: return activate<Activation::kSigmoid>(v, alpha, beta);
    case Activation::kTanh: return activate<Activation::kTanh>(v, alpha, beta);
    case Activation::kHardSigmoid: return activate<Activation::kHardSigmoid>(v, alpha, beta);
    case Activation::kHardSwish: return activate<Activation::kHardSwish>(v, alpha, beta);
    case Activation::kSilu: return activate<Activation::kSilu>(v, alpha, beta);
    case Activation::kElu: return activate<Activation::kElu>(v, alpha, beta);
    case Activation::kGelu: return activate<Activation::kGelu>(v, alpha, beta);
  }
  return v;
}

}  // namespace lanewise::LANEWISE_ISA
