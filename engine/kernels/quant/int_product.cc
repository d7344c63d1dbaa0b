// isas: baseline avx2 avx512
// Integer products by the multiply-add of int16 pairs, which is exact for differences of 8-bit
// numbers: |a|, |w| <= 255, so that the sum of two products stays far below 2^31.
#include <cstdint>
#include <cstring>

#include "engine/kernels/quant/quant.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

static_assert(kernels::kDepthwiseChannels % kLanes == 0);

// In unsigned lanes: sums are modulo 2^32.
LANEWISE_INLINE U32 load_words(const void* p) {
  U32 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

LANEWISE_INLINE U32 splat_pair(const std::int16_t* p) {
  std::uint32_t pair;
  std::memcpy(&pair, p, sizeof(pair));
  return U32{} + pair;
}

// sum + a.low * b.low + a.high * b.high, each lane a pair of int16.
LANEWISE_INLINE U32 multiply_add_pairs(U32 sum, U32 a, U32 b) {
#if defined(LANEWISE_ISA_AVX512)
  return sum + reinterpret_cast<U32>(
                   _mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(LANEWISE_ISA_AVX2)
  return sum + reinterpret_cast<U32>(
                   _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return sum + reinterpret_cast<U32>(
                   _mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  const I32 x = reinterpret_cast<I32>(a), y = reinterpret_cast<I32>(b);
  const I32 low = ((x << 16) >> 16) * ((y << 16) >> 16), high = (x >> 16) * (y >> 16);
  return sum + reinterpret_cast<U32>(low) + reinterpret_cast<U32>(high);
#endif
}

template <int kVectors, int kRows>
static inline void tile_rows(const kernels::IntTile& t, std::int64_t row) {
  constexpr int kPanel = kVectors * kLanes;
  U32 sum[kRows][kVectors] = {};
  const std::int16_t* w = t.packed;
  for (std::int64_t tap = 0; tap < t.taps; ++tap) {
    const std::int16_t* a[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) a[r] = t.a[(row + r) * t.taps + tap];
    for (std::int64_t pair = 0; pair < t.pairs; ++pair, w += 2 * kPanel) {
      U32 weights[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) weights[v] = load_words(w + v * 2 * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const U32 x = splat_pair(a[r] + 2 * pair);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add_pairs(sum[r][v], x, weights[v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    std::memcpy(t.out + (row + r) * kPanel, sum[r], sizeof(sum[r]));
  }
}

template <int kVectors, int kRows>
static void tile(const kernels::IntTile& t) {
  std::int64_t row = 0;
  for (; row + kRows <= t.rows; row += kRows) tile_rows<kVectors, kRows>(t, row);
  for (; row + 4 <= t.rows; row += 4) tile_rows<kVectors, 4>(t, row);
  switch (t.rows - row) {
    case 3: return tile_rows<kVectors, 3>(t, row);
    case 2: return tile_rows<kVectors, 2>(t, row);
    case 1: return tile_rows<kVectors, 1>(t, row);
    default: return;
  }
}

// kLanes int16 as int32 lanes: the low half is the number, and the high one meets a zero weight.
LANEWISE_INLINE U32 spread(const std::int16_t* p) {
  typedef std::int16_t Half __attribute__((vector_size(kLanes * 2)));
  Half v;
  std::memcpy(&v, p, sizeof(v));
  return reinterpret_cast<U32>(__builtin_convertvector(v, I32));
}

static void depthwise(std::int64_t channels, std::int64_t taps, const std::int16_t* const* a,
                      const std::int32_t* w, std::int32_t* out) {
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    U32 sum{};
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      sum = multiply_add_pairs(sum, spread(a[tap] + c), load_words(w + tap * channels + c));
    }
    std::memcpy(out + c, &sum, sizeof(sum));
  }
}

// Sums fill 24 of AVX-512's 32 registers (12 rows of one vector: more pointers than there are
// general registers would cost more), 12 of the 16 elsewhere.
static constexpr kernels::IntPanel kOne = {.columns = kLanes, .tile = tile<1, 12>};
static constexpr kernels::IntPanel kTwo = {
    .columns = 2 * kLanes, .tile = tile < 2, kLanes == 16 ? 12 : 6 > };
#if defined(LANEWISE_ISA_AVX512)
static constexpr kernels::IntPanel kWidest = {.columns = 4 * kLanes, .tile = tile<4, 6>};
#else
static constexpr kernels::IntPanel kWidest = kTwo;
#endif

extern const kernels::IntProduct int_product;
const kernels::IntProduct int_product = {.panels = {kOne, kTwo, kWidest}, .depthwise = depthwise};

}  // namespace lanewise::LANEWISE_ISA
