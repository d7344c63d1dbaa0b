// isas: baseline avx2 avx512 avx512_vnni
// Register tiles over bytes: a few rows, read in place through pointers, times one packed panel of
// columns, four numbers of the depth at a time.
#include "engine/kernels/bytes/finish.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::ByteGemm;
using kernels::ByteResult;
using kernels::ByteTile;

constexpr int kLineBytes = 64;

// What is fetched while tiles run, line by line; at its end the same line again and again.
struct Fetch {
  const std::uint8_t* next;
  const std::uint8_t* end;
};

// Up to four bytes as the lanes of one word, zeros after them.
LANEWISE_INLINE std::uint32_t word_of(const std::uint8_t* p, std::int64_t n) {
  std::uint32_t word = p[0];
  if (n > 1) word |= static_cast<std::uint32_t>(p[1]) << 8;
  if (n > 2) word |= static_cast<std::uint32_t>(p[2]) << 16;
  return word;
}
LANEWISE_INLINE std::uint32_t whole_word(const std::uint8_t* p) {
  std::uint32_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// One word of each row times one word of each column.
template <bool kSigned, int kRows, int kVectors>
LANEWISE_INLINE void add_products(const std::uint32_t (&words)[kRows], const std::uint8_t* w,
                                  U32 (&sums)[kRows][kVectors]) {
  if constexpr (kSigned) {
    UnsignedBytes weights[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) weights[v] = as_unsigned(load_words(w + v * kBytes));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const SignedBytes x = as_signed(splat_word(words[r]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = dot(sums[r][v], weights[v], x);
    }
  } else {
    SignedBytes weights[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) weights[v] = as_signed(load_words(w + v * kBytes));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const UnsignedBytes x = as_unsigned(splat_word(words[r]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = dot(sums[r][v], x, weights[v]);
    }
  }
}

template <int kRows, int kVectors>
LANEWISE_INLINE void finish_rows(const ByteTile& t, std::int64_t row,
                                 U32 (&sums)[kRows][kVectors]) {
  if (t.row_adds != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const U32 add = splat_word(static_cast<std::uint32_t>(t.row_adds[row + r]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] += t.factors == nullptr ? add : add * load_words(t.factors + v * kLanes);
      }
    }
  }
  if (t.output.type == ByteResult::kSums) {
    auto* out = static_cast<std::int32_t*>(t.out) + row * t.ldc;
    for (int r = 0; r < kRows; ++r) write_sums(sums[r], out + r * t.ldc, t.columns);
    return;
  }
  const Finish finish = finish_of(t.output);
  auto* out = static_cast<std::uint8_t*>(t.out) + row * t.ldc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    write_bytes(t.output, finish, sums[r], 0, out + r * t.ldc, t.columns);
  }
}

template <bool kSigned, int kVectors, int kRows>
void tile_rows(const ByteTile& t, std::int64_t row, Fetch& fetch) noexcept {
  U32 sums[kRows][kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const U32 start = load_words(t.starts + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sums[r][v] = start;
  }
  const std::uint8_t* w = t.panel;
  const std::uint8_t* const* rows = t.rows + row;
  const std::int64_t whole = t.depth / 4 * 4, rest = t.depth - whole;
  const std::uint8_t* ahead = fetch.next;
  const std::int64_t line = ahead < fetch.end ? kLineBytes : 0;
  for (std::int64_t tap = 0; tap < t.taps; ++tap, rows += t.row_step) {
    const std::uint8_t* a[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) a[r] = rows[r] + t.offset;
    std::uint32_t words[kRows];
    for (std::int64_t i = 0; i < whole; i += 4, w += kVectors * kBytes) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) words[r] = whole_word(a[r] + i);
      __builtin_prefetch(ahead, 0, 2);
      ahead += line;
      add_products<kSigned>(words, w, sums);
    }
    if (rest != 0) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) words[r] = word_of(a[r] + whole, rest);
      add_products<kSigned>(words, w, sums);
      w += kVectors * kBytes;
    }
  }
  fetch.next = ahead;
  finish_rows(t, row, sums);
}

template <bool kSigned, int kVectors, int kRows>
void tile(const ByteTile& t) noexcept {
  Fetch fetch = {t.panel, t.panel};
  if (t.ahead != nullptr) fetch = {t.ahead, t.ahead + t.ahead_bytes};
  std::int64_t row = 0;
  for (; row + kRows <= t.count; row += kRows) tile_rows<kSigned, kVectors, kRows>(t, row, fetch);
  if constexpr (kRows > 8) {
    for (; row + 8 <= t.count; row += 8) tile_rows<kSigned, kVectors, 8>(t, row, fetch);
  }
  if constexpr (kRows > 4) {
    for (; row + 4 <= t.count; row += 4) tile_rows<kSigned, kVectors, 4>(t, row, fetch);
  }
  for (; row + 2 <= t.count; row += 2) tile_rows<kSigned, kVectors, 2>(t, row, fetch);
  if (row < t.count) tile_rows<kSigned, kVectors, 1>(t, row, fetch);
}

template <bool kSigned>
void row_sums(const ByteTile& t, std::int32_t* out) noexcept {
  const U32 ones = splat_word(0x01010101u);
  const auto add = [&](U32 sum, U32 x) __attribute__((always_inline)) {
    return kSigned ? dot(sum, as_unsigned(ones), as_signed(x))
                   : dot(sum, as_unsigned(x), as_signed(ones));
  };
  for (std::int64_t row = 0; row < t.count; ++row) {
    U32 sum{};
    for (std::int64_t tap = 0; tap < t.taps; ++tap) {
      const std::uint8_t* a = t.rows[tap * t.row_step + row] + t.offset;
      std::int64_t i = 0;
      for (; i + kBytes <= t.depth; i += kBytes) sum = add(sum, load_words(a + i));
      if (i < t.depth) sum = add(sum, load_bytes(a + i, static_cast<int>(t.depth - i)));
    }
    std::uint32_t total = 0;
    for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
    out[row] = static_cast<std::int32_t>(total);
  }
}

}  // namespace

extern const ByteGemm byte_gemm;
#define LANEWISE_TILES(sign, r1, r2, r3, r4) \
  {nullptr, tile<sign, 1, r1>, tile<sign, 2, r2>, tile<sign, 3, r3>, tile<sign, 4, r4>}
#if defined(LANEWISE_ISA_AVX512_VNNI)
// Sums fill 24 of 32 registers.
#define LANEWISE_ROWS 12, 12, 8, 6
#elif defined(LANEWISE_ISA_AVX512)
#define LANEWISE_ROWS 12, 8, 4, 4
#else
#define LANEWISE_ROWS 6, 4, 2, 2
#endif
#define LANEWISE_EXPAND(macro, ...) macro(__VA_ARGS__)
const ByteGemm byte_gemm = {.lanes = kLanes,
                            .tiles = {LANEWISE_EXPAND(LANEWISE_TILES, false, LANEWISE_ROWS),
                                      LANEWISE_EXPAND(LANEWISE_TILES, true, LANEWISE_ROWS)},
                            .rows = {0, LANEWISE_ROWS},
                            .row_sums = {row_sums<false>, row_sums<true>}};

}  // namespace lanewise::LANEWISE_ISA
