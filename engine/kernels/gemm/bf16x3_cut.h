// Cutting floats into three bfloat16 parts, a little at a time: what the product of parts does
// beside the tile unit. Included by gemm_bf16x3.cc only.
#pragma once

#include "engine/kernels/gemm/bf16x3.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

inline constexpr int kTerms = kernels::GemmBf16x3::kTerms, kParts = kernels::GemmBf16x3::kParts;
inline constexpr int kLine = kernels::GemmBf16x3::kLineBytes;
inline constexpr int kTile = 16 * kLine;  // bytes

// The upper half of a float is a bfloat16: its value cut off, never rounded up to infinity.
LANEWISE_INLINE __m512i upper_half() { return _mm512_set1_epi32(static_cast<int>(0xffff0000u)); }

// What is left of 16 terms and of the 16 after them: term i stands beside term i + 16, in rows of A
// and columns of B alike.
struct Pair {
  __m512 low, high;
};

// Writes the next part of both and takes it away from them.
LANEWISE_INLINE void cut(Pair& left, std::byte* to) {
  const __m512i low = _mm512_castps_si512(left.low), high = _mm512_castps_si512(left.high);
  constexpr int kFirstOrBoth = 0xf8;  // a | (b & c)
  _mm512_store_si512(
      to, _mm512_ternarylogic_epi32(_mm512_srli_epi32(low, 16), high, upper_half(), kFirstOrBoth));
  left.low -= _mm512_castsi512_ps(_mm512_and_si512(low, upper_half()));
  left.high -= _mm512_castsi512_ps(_mm512_and_si512(high, upper_half()));
}

// All parts. Returns what is no number where a term is not finite, else zeros.
LANEWISE_INLINE __m512 cut_pair(Pair left, std::byte* to, std::int64_t part_step) {
  cut(left, to);
  const __m512 odd = (left.low + left.high) * _mm512_setzero_ps();
  cut(left, to + part_step);
  cut(left, to + 2 * part_step);
  return odd;
}

LANEWISE_INLINE bool is_odd(__m512 v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) != 0; }

// The first n terms from `from`, n <= 32.
LANEWISE_INLINE Pair load_terms(const float* from, std::int64_t n) {
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << n) - 1);
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from),
          _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), from + 16)};
}

// Rows, a pair of one row at a time; step after step, so that lines are written one after another.
class RowCutter {
 public:
  RowCutter() = default;
  explicit RowCutter(const kernels::Bf16x3Rows& rows)
      : rows_(rows), count_(rows.last - rows.first), term_(rows.begin), to_(rows.to) {
    if (rows.k != 0) begin_step();
  }
  std::int64_t units() const { return count_ * ((rows_.end - rows_.begin + kTerms - 1) / kTerms); }

  void advance(std::int64_t units) {
    for (; units > 0 && term_ < rows_.end; --units) {
      const float* from = table_[row_] + offset_;
      const std::int64_t left = rows_.end - term_;
      __builtin_prefetch(from + kTerms);
      __builtin_prefetch(from + kTerms + 16);
      const Pair pair = left >= kTerms ? Pair{_mm512_loadu_ps(from), _mm512_loadu_ps(from + 16)}
                                       : load_terms(from, left);
      if (is_odd(cut_pair(pair, to_, count_ * kLine))) rows_.odd[rows_.first + row_] = 1;
      to_ += kLine;
      if (++row_ < count_) continue;
      row_ = 0;
      to_ += (kParts - 1) * count_ * kLine;
      term_ += kTerms;
      if (term_ < rows_.end) begin_step();
    }
  }

 private:
  void begin_step() {
    const std::int64_t tap = term_ / rows_.k;
    table_ = rows_.table + tap * rows_.table_step + rows_.first;
    offset_ = rows_.offset + term_ - tap * rows_.k;
  }

  kernels::Bf16x3Rows rows_;
  std::int64_t count_ = 0, row_ = 0, term_ = 0, offset_ = 0;
  const float* const* table_ = nullptr;
  std::byte* to_ = nullptr;
};

// A panel, a row of pairs at a time: terms i and i + 16 of all columns.
class PanelCutter {
 public:
  explicit PanelCutter(const kernels::Bf16x3Panel& panel)
      : panel_(panel), units_((panel.count + kTerms - 1) / kTerms * 16) {}
  std::int64_t units() const { return units_; }

  void advance(std::int64_t units) {
    const std::int64_t width = std::int64_t{panel_.vectors} * 16;
    const std::int64_t part_step = std::int64_t{panel_.vectors} * kTile;
    for (; units > 0 && done_ < units_; --units, ++done_) {
      const std::int64_t step = done_ / 16, i = done_ % 16;
      const std::int64_t low = step * kTerms + i, high = low + 16;
      const std::int64_t step_floats = kTerms * width;
      const float* from = panel_.from + low * width;
      std::byte* to = panel_.to + step * kParts * part_step + i * kLine;
      for (int v = 0; v < panel_.vectors; ++v, from += 16, to += kTile) {
        Pair pair{_mm512_setzero_ps(), _mm512_setzero_ps()};
        if (low < panel_.count) pair.low = _mm512_loadu_ps(from);
        if (high < panel_.count) pair.high = _mm512_loadu_ps(from + 16 * width);
        __builtin_prefetch(from + step_floats, 0, 2);
        __builtin_prefetch(from + step_floats + 16 * width, 0, 2);
        cut_pair(pair, to, part_step);
      }
    }
  }

 private:
  kernels::Bf16x3Panel panel_;
  std::int64_t units_ = 0, done_ = 0;
};

}  // namespace lanewise::LANEWISE_ISA
