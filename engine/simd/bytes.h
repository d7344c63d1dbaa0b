// Vectors of bytes, four to an int32 lane: exact dot products, interleaving, and the way back from
// sums to bytes. Included by kernels of quantised numbers only.
#pragma once

#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

inline constexpr int kBytes = 4 * kLanes;  // of a vector
typedef std::int16_t I16 __attribute__((vector_size(kBytes)));
typedef std::uint16_t U16 __attribute__((vector_size(kBytes)));
typedef std::uint8_t U8 __attribute__((vector_size(kBytes)));

LANEWISE_INLINE U32 load_words(const void* p) {
  U32 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
LANEWISE_INLINE U32 splat_word(std::uint32_t word) { return U32{} + word; }

// The first n bytes (0 < n <= kBytes), zeros after them; memory past them is not touched.
LANEWISE_INLINE U32 load_bytes(const std::uint8_t* p, int n) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<U32>(_mm512_maskz_loadu_epi8(~std::uint64_t{0} >> (kBytes - n), p));
#else
  U8 v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return reinterpret_cast<U32>(v);
#endif
}

LANEWISE_INLINE void store_bytes(void* to, U32 v, int n) {
  if (n >= kBytes) {
    std::memcpy(to, &v, sizeof(v));
    return;
  }
#if defined(LANEWISE_ISA_AVX512)
  _mm512_mask_storeu_epi8(to, ~std::uint64_t{0} >> (kBytes - n), reinterpret_cast<__m512i>(v));
#else
  std::uint8_t bytes[kBytes];
  std::memcpy(bytes, &v, sizeof(v));
  for (int i = 0; i < n; ++i) static_cast<std::uint8_t*>(to)[i] = bytes[i];
#endif
}

// As many bytes as there are lanes, as numbers.
LANEWISE_INLINE I32 widen_bytes(const std::uint8_t* p) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<I32>(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<I32>(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  return I32{p[0], p[1], p[2], p[3]};
#endif
}
LANEWISE_INLINE I32 widen_bytes(const std::int8_t* p) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<I32>(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<I32>(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  return I32{p[0], p[1], p[2], p[3]};
#endif
}

// Unsigned and signed bytes as `dot` takes them. Where the ISA has no dot product of bytes, they
// are the even and the odd ones, widened to 16 bits: pairs of those multiply and add exactly.
#if defined(LANEWISE_ISA_AVX512_VNNI)
typedef U32 UnsignedBytes;
typedef U32 SignedBytes;
LANEWISE_INLINE UnsignedBytes as_unsigned(U32 v) { return v; }
LANEWISE_INLINE SignedBytes as_signed(U32 v) { return v; }

// Lane by lane sum + x[0] y[0] + ... + x[3] y[3], modulo 2^32.
LANEWISE_INLINE U32 dot(U32 sum, UnsignedBytes x, SignedBytes y) {
  return reinterpret_cast<U32>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(y)));
}
#else
struct Halves16 {
  I16 even, odd;
};
typedef Halves16 UnsignedBytes;
typedef Halves16 SignedBytes;
LANEWISE_INLINE UnsignedBytes as_unsigned(U32 v) {
  const U16 pairs = reinterpret_cast<U16>(v);
  return {reinterpret_cast<I16>(pairs & 0xff), reinterpret_cast<I16>(pairs >> 8)};
}
LANEWISE_INLINE SignedBytes as_signed(U32 v) {
  const I16 pairs = reinterpret_cast<I16>(v);
  return {(pairs << 8) >> 8, pairs >> 8};
}

// Lane by lane sum + x.low y.low + x.high y.high.
LANEWISE_INLINE U32 multiply_add(U32 sum, I16 x, I16 y) {
#if defined(LANEWISE_ISA_AVX512)
  return sum + reinterpret_cast<U32>(
                   _mm512_madd_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(y)));
#elif defined(LANEWISE_ISA_AVX2)
  return sum + reinterpret_cast<U32>(
                   _mm256_madd_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(y)));
#elif defined(__SSE2__)
  return sum + reinterpret_cast<U32>(
                   _mm_madd_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(y)));
#else
  const I32 a = reinterpret_cast<I32>(x), b = reinterpret_cast<I32>(y);
  const I32 low = ((a << 16) >> 16) * ((b << 16) >> 16), high = (a >> 16) * (b >> 16);
  return sum + reinterpret_cast<U32>(low) + reinterpret_cast<U32>(high);
#endif
}
LANEWISE_INLINE U32 dot(U32 sum, const UnsignedBytes& x, const SignedBytes& y) {
  return multiply_add(multiply_add(sum, x.even, y.even), x.odd, y.odd);
}
#endif

// Four vectors of bytes interleaved within blocks of 16: byte i of lane l of out[j] is byte
// 16 (l / 4) + 4 j + l % 4 of x[i]. narrow() takes lanes of that order back to bytes in sequence.
LANEWISE_INLINE void interleave(const U32 (&x)[4], U32 (&out)[4]) {
#if defined(LANEWISE_ISA_AVX512)
#define LANEWISE_UNPACK(which, width, a, b)                                             \
  reinterpret_cast<U32>(_mm512_unpack##which##_epi##width(reinterpret_cast<__m512i>(a), \
                                                          reinterpret_cast<__m512i>(b)))
#elif defined(LANEWISE_ISA_AVX2)
#define LANEWISE_UNPACK(which, width, a, b)                                             \
  reinterpret_cast<U32>(_mm256_unpack##which##_epi##width(reinterpret_cast<__m256i>(a), \
                                                          reinterpret_cast<__m256i>(b)))
#elif defined(__SSE2__)
#define LANEWISE_UNPACK(which, width, a, b) \
  reinterpret_cast<U32>(                    \
      _mm_unpack##which##_epi##width(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)))
#endif
#if defined(LANEWISE_UNPACK)
  const U32 low01 = LANEWISE_UNPACK(lo, 8, x[0], x[1]), high01 = LANEWISE_UNPACK(hi, 8, x[0], x[1]);
  const U32 low23 = LANEWISE_UNPACK(lo, 8, x[2], x[3]), high23 = LANEWISE_UNPACK(hi, 8, x[2], x[3]);
  out[0] = LANEWISE_UNPACK(lo, 16, low01, low23);
  out[1] = LANEWISE_UNPACK(hi, 16, low01, low23);
  out[2] = LANEWISE_UNPACK(lo, 16, high01, high23);
  out[3] = LANEWISE_UNPACK(hi, 16, high01, high23);
#undef LANEWISE_UNPACK
#else
  std::uint8_t in[4][kBytes], made[4 * kBytes];
  std::memcpy(in, x, sizeof(in));
  for (int at = 0; at < 4 * kBytes; ++at) {
    const int j = at / kBytes, l = at % kBytes / 4;
    made[at] = in[at % 4][16 * (l / 4) + 4 * j + l % 4];
  }
  std::memcpy(out, made, sizeof(made));
#endif
}

// The nearest integers, halves to even. What does not fit in 32 bits gives some integer no larger
// than every one that does: callers bound numbers from above first.
LANEWISE_INLINE I32 nearest(F32 v) {
#if defined(LANEWISE_ISA_AVX512)
  return reinterpret_cast<I32>(_mm512_maskz_cvtps_epi32(0xffff, reinterpret_cast<__m512>(v)));
#elif defined(LANEWISE_ISA_AVX2)
  return reinterpret_cast<I32>(_mm256_cvtps_epi32(reinterpret_cast<__m256>(v)));
#elif defined(__SSE2__)
  return reinterpret_cast<I32>(_mm_cvtps_epi32(reinterpret_cast<__m128>(v)));
#else
  // Adding 1.5 2^23 to |v| < 2^22 leaves the integer in the low bits.
  const F32 bounded = max(v, splat(-0x1p21f)) + 0x1.8p23f;
  return reinterpret_cast<I32>(bounded) - 0x4b400000;
#endif
}

// How sums leave as bytes: each + zero within [low, high], which bytes hold.
struct Narrowing {
  I16 zero, low, high;
};
LANEWISE_INLINE Narrowing narrowing(std::int32_t zero, std::int32_t low, std::int32_t high) {
  return {I16{} + static_cast<std::int16_t>(zero), I16{} + static_cast<std::int16_t>(low),
          I16{} + static_cast<std::int16_t>(high)};
}

// Lanes in interleaved order to one vector of bytes in sequence, saturated on the way.
LANEWISE_INLINE U32 narrow(const I32 (&v)[4], const Narrowing& n) {
#if defined(LANEWISE_ISA_AVX512)
  const auto half = [&](I32 a, I32 b) __attribute__((always_inline)) {
    const __m512i zero = reinterpret_cast<__m512i>(n.zero);
    const __m512i sum = _mm512_adds_epi16(
        _mm512_packs_epi32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)), zero);
    return _mm512_min_epi16(_mm512_max_epi16(sum, reinterpret_cast<__m512i>(n.low)),
                            reinterpret_cast<__m512i>(n.high));
  };
  const __m512i a = half(v[0], v[1]), b = half(v[2], v[3]);
  const __m512i low = _mm512_set1_epi16(0xff);
  return reinterpret_cast<U32>(
      _mm512_packus_epi16(_mm512_and_si512(a, low), _mm512_and_si512(b, low)));
#elif defined(LANEWISE_ISA_AVX2)
  const auto half = [&](I32 a, I32 b) __attribute__((always_inline)) {
    const __m256i zero = reinterpret_cast<__m256i>(n.zero);
    const __m256i sum = _mm256_adds_epi16(
        _mm256_packs_epi32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)), zero);
    return _mm256_and_si256(
        _mm256_min_epi16(_mm256_max_epi16(sum, reinterpret_cast<__m256i>(n.low)),
                         reinterpret_cast<__m256i>(n.high)),
        _mm256_set1_epi16(0xff));
  };
  return reinterpret_cast<U32>(_mm256_packus_epi16(half(v[0], v[1]), half(v[2], v[3])));
#elif defined(__SSE2__)
  const auto half = [&](I32 a, I32 b) __attribute__((always_inline)) {
    const __m128i zero = reinterpret_cast<__m128i>(n.zero);
    const __m128i sum = _mm_adds_epi16(
        _mm_packs_epi32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)), zero);
    return _mm_and_si128(_mm_min_epi16(_mm_max_epi16(sum, reinterpret_cast<__m128i>(n.low)),
                                       reinterpret_cast<__m128i>(n.high)),
                         _mm_set1_epi16(0xff));
  };
  return reinterpret_cast<U32>(_mm_packus_epi16(half(v[0], v[1]), half(v[2], v[3])));
#else
  std::uint8_t bytes[kBytes];
  for (int at = 0; at < kBytes; ++at) {
    const std::int32_t sum = v[at % 16 / 4][at / 16 * 4 + at % 4] + n.zero[0];
    const std::int32_t least = sum < n.low[0] ? n.low[0] : sum;
    bytes[at] = static_cast<std::uint8_t>(least > n.high[0] ? n.high[0] : least);
  }
  return load_words(bytes);
#endif
}

// The low bytes of the first n lanes (0 < n <= kLanes).
LANEWISE_INLINE void store_lanes(std::uint8_t* to, I32 v, int n) {
#if defined(LANEWISE_ISA_AVX512)
  _mm512_mask_cvtepi32_storeu_epi8(to, static_cast<__mmask16>((1u << n) - 1u),
                                   reinterpret_cast<__m512i>(v));
#else
  for (int i = 0; i < n; ++i) to[i] = static_cast<std::uint8_t>(v[i]);
#endif
}

}  // namespace lanewise::LANEWISE_ISA
