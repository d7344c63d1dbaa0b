// Vectors of the ISA that this translation unit is compiled for. Arithmetic is the compiler's own
// on vector types; the functions here say what operators cannot: fused multiply-add, masked tails,
// min and max, rounding. Included by kernels only.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lanewise::LANEWISE_ISA {

#if defined(LANEWISE_ISA_AVX512)
inline constexpr int kLanes = 16;
#elif defined(LANEWISE_ISA_AVX2)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float F32 __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t I32 __attribute__((vector_size(kLanes * 4)));
typedef std::uint32_t U32 __attribute__((vector_size(kLanes * 4)));

#define LANEWISE_INLINE static inline __attribute__((always_inline))

LANEWISE_INLINE F32 load(const float* p) {
  F32 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
LANEWISE_INLINE void store(float* p, F32 v) { std::memcpy(p, &v, sizeof(v)); }
// Minus zero stays itself: x - 0 is x for every x, and costs nothing.
LANEWISE_INLINE F32 splat(float x) { return x - F32{}; }

// The first n lanes (0 <= n <= kLanes), zeros after them; memory past them is not touched.
LANEWISE_INLINE F32 load_first(const float* p, int n) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<F32>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p));
#elif defined(LANEWISE_ISA_AVX2)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return reinterpret_cast<F32>(
      _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane)));
#else
  F32 v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}

LANEWISE_INLINE void store_first(float* p, F32 v, int n) {
#if defined(LANEWISE_ISA_AVX512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), reinterpret_cast<__m512>(v));
#elif defined(LANEWISE_ISA_AVX2)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane),
                      reinterpret_cast<__m256>(v));
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// Lane i of the result is v[index[i]]; indices lie in [0, kLanes).
LANEWISE_INLINE F32 permute(F32 v, I32 index) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<F32>(_mm512_maskz_permutexvar_ps(0xffff, reinterpret_cast<__m512i>(index),
                                                           reinterpret_cast<__m512>(v)));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<F32>(
      _mm256_permutevar8x32_ps(reinterpret_cast<__m256>(v), reinterpret_cast<__m256i>(index)));
#else
  F32 result{};
  for (int i = 0; i < kLanes; ++i) result[i] = v[index[i]];
  return result;
#endif
}

// a * b + c: one rounding where the ISA has FMA, two on the baseline.
LANEWISE_INLINE F32 fma(F32 a, F32 b, F32 c) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<F32>(_mm512_fmadd_ps(
      reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<F32>(_mm256_fmadd_ps(
      reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}

// Lane by lane a > b ? a : b, so that a NaN in a gives b; both give the second operand for NaN.
LANEWISE_INLINE F32 max(F32 a, F32 b) { return a > b ? a : b; }
LANEWISE_INLINE F32 min(F32 a, F32 b) { return a < b ? a : b; }

}  // namespace lanewise::LANEWISE_ISA
