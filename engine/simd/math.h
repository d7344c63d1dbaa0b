// Elementary functions on vectors of float32, branch-free: exp, log, tanh, sigmoid, erf and their
// kin, and rounding to integers. Infinities, NaNs, zeros and subnormals give IEEE's results.
// Polynomials: minimax fits made for this file (Lawson's iteration, coefficients rounded to float32
// one after the other); reductions after Cody & Waite, Software Manual for the Elementary
// Functions.
#pragma once

#include "engine/simd/simd.h"

// Largest error in ulp against float64, on every 17th float32, the worse of with and without FMA:
//   exp 1.1   expm1 1.6   log 0.8   log1p (x >= 0) 0.9   tanh 2.7   sigmoid 2.5   erf 1.3
// floor, ceil and round_even are exact. tests/ops/test_unary.py and test_activation.py hold these.
namespace lanewise::LANEWISE_ISA {

LANEWISE_INLINE I32 bits_of(F32 v) { return reinterpret_cast<I32>(v); }
LANEWISE_INLINE F32 float_of(I32 v) { return reinterpret_cast<F32>(v); }
LANEWISE_INLINE I32 splat_int(std::int32_t x) { return I32{} + x; }
// a - b, wrapping around.
LANEWISE_INLINE I32 subtract_bits(I32 a, I32 b) {
  return reinterpret_cast<I32>(reinterpret_cast<U32>(a) - reinterpret_cast<U32>(b));
}
LANEWISE_INLINE F32 infinity() { return splat(__builtin_inff()); }

LANEWISE_INLINE F32 abs(F32 v) { return float_of(bits_of(v) & 0x7fffffff); }
// |magnitude| with the sign bit of `sign`.
LANEWISE_INLINE F32 copysign(F32 magnitude, F32 sign) {
  return float_of((bits_of(magnitude) & 0x7fffffff) | (bits_of(sign) & splat_int(-0x7fffffff - 1)));
}

// c[0] + c[1] x + ... + c[n - 1] x^(n - 1), by Horner's rule.
template <int n>
LANEWISE_INLINE F32 polynomial(F32 x, const float (&c)[n]) {
  F32 sum = splat(c[n - 1]);
#pragma GCC unroll 16
  for (int i = n - 2; i >= 0; --i) sum = fma(sum, x, splat(c[i]));
  return sum;
}

// To the nearest integer, halves to the even one.
LANEWISE_INLINE F32 round_even(F32 v) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<F32>(_mm512_maskz_roundscale_ps(0xffff, reinterpret_cast<__m512>(v), 8));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<F32>(_mm256_round_ps(reinterpret_cast<__m256>(v), 8));
#else
  const F32 shifted = (abs(v) + 0x1p23f) - 0x1p23f;  // the sum's unit is 1
  return abs(v) < 0x1p23f ? copysign(shifted, v) : v;
#endif
}

// The unmasked AVX-512 intrinsic makes GCC 12 warn of an uninitialised value inside it.
LANEWISE_INLINE F32 square_root(F32 v) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<F32>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(v)));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<F32>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#else
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

LANEWISE_INLINE F32 floor(F32 v) {
  const F32 near = round_even(v);
  return near > v ? near - 1.0f : near;
}

LANEWISE_INLINE F32 ceil(F32 v) {
  const F32 near = round_even(v);
  return copysign(near < v ? near + 1.0f : near, v);  // -0.5 gives -0
}

// x = n log(2) + r, |r| <= log(2) / 2, for |x| <= 104.
struct ExpParts {
  I32 n;
  F32 n_float;
  F32 r;
};
LANEWISE_INLINE ExpParts reduce_exp(F32 x) {
  const F32 magic =
      splat(0x1.8p23f);  // adding it rounds to an integer and leaves that in the low bits
  const F32 shifted = fma(x, splat(0x1.715476p0f), magic);
  const F32 n = shifted - magic;
  F32 r = fma(n, splat(-0x1.63p-1f), x);  // log(2) in two pieces; n times the first is exact
  r = fma(n, splat(0x1.bd0106p-13f), r);
  return {bits_of(shifted) - 0x4b400000, n, r};
}

// e^r - 1 on the reduced range.
LANEWISE_INLINE F32 expm1_reduced(F32 r) {
  constexpr float kC[] = {0.5f, 0x1.555490p-3f, 0x1.5554cep-5f, 0x1.123ac4p-7f, 0x1.6d6aaap-10f};
  return fma(r * r, polynomial(r, kC), r);
}

LANEWISE_INLINE F32 exp(F32 x) {
  x = min(splat(89.0f), x);    // already infinite; NaN stays
  x = max(splat(-104.0f), x);  // already 0
  const ExpParts parts = reduce_exp(x);
  const F32 y = expm1_reduced(parts.r) + 1.0f;
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<F32>(_mm512_maskz_scalef_ps(0xffff, reinterpret_cast<__m512>(y),
                                                      reinterpret_cast<__m512>(parts.n_float)));
#else
  const I32 half = parts.n >> 1;  // in two factors: 2^n alone may be infinite or subnormal
  const F32 first = float_of((half + 127) << 23), second = float_of((parts.n - half + 127) << 23);
  return y * first * second;
#endif
}

LANEWISE_INLINE F32 expm1(F32 x) {
  x = min(splat(89.0f), x);
  x = max(splat(-30.0f), x);  // already -1
  const ExpParts parts = reduce_exp(x);
  const F32 half_scale = float_of((parts.n + 126) << 23);  // 2^(n - 1), finite for n = 128 too
  return fma(half_scale, expm1_reduced(parts.r), half_scale - 0.5f) * 2.0f;
}

// log(2^e m) with m in [sqrt(1/2), sqrt(2)), plus `low`, a correction far smaller than the result.
LANEWISE_INLINE F32 log_parts(F32 e, F32 m, F32 low) {
  constexpr float kC[] = {0x1.555548p-2f,  -0x1.000006p-2f, 0x1.99a478p-3f,
                          -0x1.555c4ap-3f, 0x1.233b68p-3f,  -0x1.fc2740p-4f,
                          0x1.e6c298p-4f,  -0x1.de0e4cp-4f, 0x1.147cbep-4f};
  const F32 f = m - 1.0f;
  const F32 square = f * f;
  F32 tail = square * f * polynomial(f, kC) + low;
  tail = fma(e, splat(-0x1.bd0106p-13f), tail);
  tail = fma(square, splat(-0.5f), tail);
  return fma(e, splat(0x1.63p-1f), f + tail);
}

// log(x) + low for finite x >= 2^-126; anything for other x.
LANEWISE_INLINE F32 log_normal(F32 x, F32 low) {
  const I32 e = subtract_bits(bits_of(x), splat_int(0x3f3504f3)) >> 23;  // 0x3f3504f3: sqrt(1/2)
  return log_parts(__builtin_convertvector(e, F32), float_of(subtract_bits(bits_of(x), e << 23)),
                   low);
}

LANEWISE_INLINE F32 log(F32 x) {
  const I32 tiny = x < 0x1p-126f;
  const F32 scaled = tiny ? x * 0x1p23f : x;
  const I32 e = subtract_bits(bits_of(scaled), splat_int(0x3f3504f3)) >> 23;
  const F32 m = float_of(subtract_bits(bits_of(scaled), e << 23));
  const F32 y = log_parts(__builtin_convertvector(e + (tiny & splat_int(-23)), F32), m, F32{});
  const F32 outside = x == 0.0f ? -infinity() : splat(__builtin_nanf(""));
  return x > 0.0f ? (x < infinity() ? y : x) : outside;
}

// log(1 + x) for x >= 0: what 1 + x loses by rounding comes back as (x - (u - 1)) / u.
LANEWISE_INLINE F32 log1p_positive(F32 x) {
  const F32 u = x + 1.0f;
  const F32 y = log_normal(u, (x - (u - 1.0f)) / u);
  return x < infinity() ? y : x;
}

// expm1(2 |x|) / (expm1(2 |x|) + 2)
LANEWISE_INLINE F32 tanh(F32 x) {
  F32 twice = abs(x) * 2.0f;
  twice = twice > 20.0f ? splat(20.0f) : twice;  // the result is already 1
  const F32 t = expm1(twice);
  return copysign(t / (t + 2.0f), x);
}

// 1 / (1 + e^-x), from e^-|x| so that nothing overflows and small results stay accurate.
LANEWISE_INLINE F32 sigmoid(F32 x) {
  const F32 e = exp(-abs(x));
  return (x < 0.0f ? e : splat(1.0f)) / (e + 1.0f);
}

// x e(x^2) near zero; 1 - exp(-g(|x|)) beyond, where erfc(x) = exp(-g(x)).
LANEWISE_INLINE F32 erf(F32 x) {
  constexpr float kNear[] = {0x1.06eba8p-3f, -0x1.812740p-2f,  0x1.ce2d64p-4f, -0x1.b8011ap-6f,
                             0x1.544a1ap-8f, -0x1.a60a2ep-11f, 0x1.4f6760p-14f};
  constexpr float kFar[] = {0x1.9a57e0p-13f, 0x1.20af5ap0f,  0x1.463cc0p-1f,  0x1.a9b424p-4f,
                            -0x1.6c2a42p-6f, 0x1.8ee0b2p-9f, -0x1.9ae734p-13f};
  F32 a = abs(x);
  const F32 near = fma(x, polynomial(x * x, kNear), x);
  a = a > 3.93f ? splat(3.93f) : a;  // the result is already 1
  const F32 far = copysign(1.0f - exp(-polynomial(a, kFar)), x);
  return abs(x) < 0.925f ? near : (x == x ? far : x);
}

}  // namespace lanewise::LANEWISE_ISA
