// isas: baseline avx2 avx512
// Weights become floats right before they are multiplied, a vector of bytes at a time; AVX-512
// looks 2- and 4-bit ones up in a register that holds the weight of every q.
#include "engine/kernels/nbits/nbits.h"

#include "engine/simd/bytes.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::NBitsColumns;
using kernels::NBitsProduct;

// The first n bytes as lanes, zeros after them.
LANEWISE_INLINE I32 load_lanes(const std::uint8_t* p, std::int64_t n) {
  if (n >= kLanes) return widen_bytes(p);
  std::uint8_t bytes[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) bytes[i] = p[i];
  return widen_bytes(bytes);
}

#if defined(LANEWISE_ISA_AVX512)
// table[low bits of each lane]
LANEWISE_INLINE F32 look_up(F32 table, I32 lanes) {
  return reinterpret_cast<F32>(_mm512_maskz_permutexvar_ps(0xffff, reinterpret_cast<__m512i>(lanes),
                                                           reinterpret_cast<__m512>(table)));
}
#endif

// What turns the q of a block into weights.
template <int kBits>
struct Block {
#if defined(LANEWISE_ISA_AVX512)
  static constexpr bool kTable = kBits < 8;
#else
  static constexpr bool kTable = false;
#endif
  F32 scale, zero;  // or in `scale` the table

  LANEWISE_INLINE Block of(float scale, float zero) {
    if constexpr (kTable) {
      F32 table;
      for (int q = 0; q < kLanes; ++q) table[q] = static_cast<float>(q % (1 << kBits));
      return {(table - splat(zero)) * splat(scale), F32{}};
    } else {
      return {splat(scale), splat(zero)};
    }
  }
  // The weights in bits [0, kBits) of each lane; higher bits may hold anything of that byte.
  __attribute__((always_inline)) F32 weights(I32 bits) const {
#if defined(LANEWISE_ISA_AVX512)
    if constexpr (kTable) return look_up(scale, bits);
#endif
    return (__builtin_convertvector(bits & ((1 << kBits) - 1), F32) - zero) * scale;
  }
};

LANEWISE_INLINE float zero_of(const NBitsColumns& w, std::int64_t at) {
  return w.zeros == nullptr ? w.zero : w.zeros[at];
}

LANEWISE_INLINE float sum_of(F32 v) {
  float sum = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) sum += v[lane];
  return sum;
}

// kLanes bytes, or the first n, of each column from byte `at` on.
template <int kBits, int kRows, int kColumns, bool kWhole>
LANEWISE_INLINE void add_bytes(const NBitsProduct& p, const Block<kBits> (&blocks)[kColumns],
                               const std::uint8_t* data, std::int64_t column_bytes, std::int64_t at,
                               std::int64_t n, F32 (&sums)[kRows][kColumns]) {
  I32 bits[kColumns];
#pragma GCC unroll 4
  for (int j = 0; j < kColumns; ++j)
    bits[j] = load_lanes(data + j * column_bytes + at, kWhole ? kLanes : n);
#pragma GCC unroll 4
  for (int part = 0; part < 8 / kBits; ++part) {
    F32 x[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const float* from = p.x + r * p.row_step + part * p.part_step + at;
      x[r] = kWhole ? load(from) : load_first(from, static_cast<int>(n));
    }
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      const F32 w = blocks[j].weights(bits[j] >> (part * kBits));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) sums[r][j] = fma(x[r], w, sums[r][j]);
    }
  }
}

template <int kBits, int kRows, int kColumns>
void columns(const NBitsProduct& product, std::int64_t column) noexcept {
  const NBitsProduct p = product;
  const std::int64_t column_bytes = p.w.blocks * p.w.block_bytes;
  const std::uint8_t* data = p.w.data + column * column_bytes;
  F32 sums[kRows][kColumns] = {};
  for (std::int64_t b = 0; b < p.w.blocks; ++b) {
    Block<kBits> blocks[kColumns];
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      const std::int64_t at = (column + j) * p.w.blocks + b;
      blocks[j] = Block<kBits>::of(p.w.scales[at], zero_of(p.w, at));
    }
    const std::int64_t end = (b + 1) * p.w.block_bytes;
    std::int64_t i = b * p.w.block_bytes;
    for (; i + kLanes <= end; i += kLanes) {
      add_bytes<kBits, kRows, kColumns, true>(p, blocks, data, column_bytes, i, kLanes, sums);
    }
    if (i < end) {
      add_bytes<kBits, kRows, kColumns, false>(p, blocks, data, column_bytes, i, end - i, sums);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kColumns; ++j) p.out[r * p.ldc + column + j] = sum_of(sums[r][j]);
  }
}

template <int kBits, int kRows>
void rows(const NBitsProduct& p) noexcept {
  std::int64_t column = 0;
  for (; column + 4 <= p.columns; column += 4) columns<kBits, kRows, 4>(p, column);
  for (; column < p.columns; ++column) columns<kBits, kRows, 1>(p, column);
}

template <int kBits>
void product(const NBitsProduct& p) noexcept {
  switch (p.rows) {
    case 4: return rows<kBits, 4>(p);
    case 3: return rows<kBits, 3>(p);
    case 2: return rows<kBits, 2>(p);
    default: return rows<kBits, 1>(p);
  }
}

template <int kBits>
void expand(const NBitsColumns& w, std::int64_t depth, float* out) noexcept {
  constexpr int kParts = 8 / kBits;
  const std::int64_t block = w.block_bytes * kParts;
  for (std::int64_t b = 0; b < w.blocks; ++b) {
    const float scale = w.scales[b], zero = zero_of(w, b);
    const std::uint8_t* bytes = w.data + b * w.block_bytes;
    const std::int64_t n = depth - b * block < block ? depth - b * block : block;
    float* const to = out + b * block;
    for (std::int64_t i = 0; i < n / kParts; ++i) {
      for (int part = 0; part < kParts; ++part) {
        const int q = bytes[i] >> (part * kBits) & ((1 << kBits) - 1);
        to[i * kParts + part] = (static_cast<float>(q) - zero) * scale;
      }
    }
    for (std::int64_t k = n / kParts * kParts; k < n; ++k) {
      const int q = bytes[k / kParts] >> (k % kParts * kBits) & ((1 << kBits) - 1);
      to[k] = (static_cast<float>(q) - zero) * scale;
    }
  }
}

}  // namespace

extern const kernels::Nbits nbits;
const kernels::Nbits nbits = {.product = {product<2>, product<4>, product<8>},
                              .expand = {expand<2>, expand<4>, expand<8>}};

}  // namespace lanewise::LANEWISE_ISA
