// isas: baseline avx2 avx512
// Products of a few rows with matrices that are read once, where they lie: a step of decoding.
#include <utility>

#include "engine/kernels/attention/attention.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::FewRowsProduct;

constexpr int kMostRows = 4;
// Columns of a pass of sums(): as many accumulators as leave room for the operands.
constexpr int kVectors = kLanes == 16 ? 4 : 2;

// Adds lanes that are kStep apart, so that every lane becomes the sum of all.
template <int kStep, std::size_t... K>
LANEWISE_INLINE F32 fold(F32 v, std::index_sequence<K...> all) {
  v += __builtin_shufflevector(v, v, (static_cast<int>(K) ^ kStep)...);
  if constexpr (kStep > 1) return fold<kStep / 2>(v, all);
  return v;
}
LANEWISE_INLINE float sum_lanes(F32 v) {
  return fold<kLanes / 2>(v, std::make_index_sequence<kLanes>())[0];
}

// One row of the matrix with kRows rows.
template <int kRows>
LANEWISE_INLINE void dots_of(const FewRowsProduct& p, const float* const* rows, const float* b,
                             float* const* y) {
  F32 even[kRows] = {}, odd[kRows] = {};
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= p.depth; i += 2 * kLanes) {
    const F32 low = load(b + i), high = load(b + i + kLanes);
    for (int r = 0; r < kRows; ++r) {
      even[r] = fma(load(rows[r] + i), low, even[r]);
      odd[r] = fma(load(rows[r] + i + kLanes), high, odd[r]);
    }
  }
  for (; i < p.depth; i += kLanes) {
    const int rest = static_cast<int>(p.depth - i < kLanes ? p.depth - i : kLanes);
    for (int r = 0; r < kRows; ++r)
      even[r] = fma(load_first(rows[r] + i, rest), load_first(b + i, rest), even[r]);
  }
  for (int r = 0; r < kRows; ++r) *y[r] = sum_lanes(even[r] + odd[r]) * p.scale;
}

template <int kRows>
void dots_rows(const FewRowsProduct& p, std::int64_t first) noexcept {
  float* y[kRows];
  for (int r = 0; r < kRows; ++r) y[r] = p.y + (first + r) * p.y_stride;
  for (std::int64_t j = 0; j < p.columns; ++j) {
    dots_of<kRows>(p, p.rows + first, p.b + j * p.b_stride, y);
    for (int r = 0; r < kRows; ++r) ++y[r];
  }
}

template <int kRows, int kCount, bool full>
LANEWISE_INLINE void sums_of(const FewRowsProduct& p, std::int64_t first, std::int64_t column,
                             int lanes) {
  F32 sum[kRows][kCount] = {};
  for (std::int64_t j = 0; j < p.depth; ++j) {
    const float* const b = p.b + j * p.b_stride + column;
    for (int v = 0; v < kCount; ++v) {
      const F32 x = full ? load(b + v * kLanes) : load_first(b, lanes);
      for (int r = 0; r < kRows; ++r) sum[r][v] = fma(splat(p.rows[first + r][j]), x, sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* const y = p.y + (first + r) * p.y_stride + column;
    for (int v = 0; v < kCount; ++v) {
      if (full) {
        store(y + v * kLanes, sum[r][v] * p.scale);
      } else {
        store_first(y, sum[r][v] * p.scale, lanes);
      }
    }
  }
}

template <int kRows>
void sums_rows(const FewRowsProduct& p, std::int64_t first) noexcept {
  std::int64_t at = 0;
  for (; at + kVectors * kLanes <= p.columns; at += kVectors * kLanes)
    sums_of<kRows, kVectors, true>(p, first, at, kLanes);
  for (; at + kLanes <= p.columns; at += kLanes) sums_of<kRows, 1, true>(p, first, at, kLanes);
  if (at < p.columns) sums_of<kRows, 1, false>(p, first, at, static_cast<int>(p.columns - at));
}

void dots(const FewRowsProduct& p) noexcept {
  std::int64_t r = 0;
  for (; r + kMostRows <= p.count; r += kMostRows) dots_rows<kMostRows>(p, r);
  for (; r + 2 <= p.count; r += 2) dots_rows<2>(p, r);
  if (r < p.count) dots_rows<1>(p, r);
}

void sums(const FewRowsProduct& p) noexcept {
  std::int64_t r = 0;
  for (; r + kMostRows <= p.count; r += kMostRows) sums_rows<kMostRows>(p, r);
  for (; r + 2 <= p.count; r += 2) sums_rows<2>(p, r);
  if (r < p.count) sums_rows<1>(p, r);
}

}  // namespace

extern const kernels::FewRows few_rows;
const kernels::FewRows few_rows = {dots, sums};

}  // namespace lanewise::LANEWISE_ISA
