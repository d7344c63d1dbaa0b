// isas: baseline avx2 avx512
// Transposes of matrices by element size: square tiles in registers, single elements at the edges.
#include <cstdint>
#include <cstring>
#include <utility>

#include "engine/kernels/layout/layout.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

// Lanes of result row `high` when blocks of size S are swapped across the diagonal of a pair of
// rows (Eklundh 1972): numbers below N name lanes of the upper row, the others of the lower one.
template <int N, int S, bool kHigh>
constexpr int swap_lane(int k) {
  if (kHigh) return (k & S) ? N + k : k + S;
  return (k & S) ? N + k - S : k;
}

template <int N, int S, class V, std::size_t... K>
LANEWISE_INLINE void swap_blocks(V* row, std::index_sequence<K...>) {
  for (int i = 0; i < N; ++i) {
    if (i & S) continue;
    const V a = row[i], b = row[i + S];
    row[i] = __builtin_shufflevector(a, b, swap_lane<N, S, false>(static_cast<int>(K))...);
    row[i + S] = __builtin_shufflevector(a, b, swap_lane<N, S, true>(static_cast<int>(K))...);
  }
}

template <int N, int S, class V>
LANEWISE_INLINE void transpose_rows(V* row) {
  swap_blocks<N, S>(row, std::make_index_sequence<N>());
  if constexpr (S > 1) transpose_rows<N, S / 2>(row);
}

template <int kBytes>
struct Element {
  unsigned char bytes[kBytes];
};

template <int kBytes>
LANEWISE_INLINE void transpose_edge(const unsigned char* in, std::int64_t in_ld, unsigned char* out,
                                    std::int64_t out_ld, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t column = 0; column < columns; ++column) {
    for (std::int64_t row = 0; row < rows; ++row) {
      Element<kBytes> element;
      std::memcpy(&element, in + (row * in_ld + column) * kBytes, kBytes);
      std::memcpy(out + (column * out_ld + row) * kBytes, &element, kBytes);
    }
  }
}

// Tiles of N x N elements of type E.
template <class E, int N>
LANEWISE_INLINE void transpose_tiled(const void* source, std::int64_t in_ld, void* target,
                                     std::int64_t out_ld, std::int64_t rows, std::int64_t columns) {
  typedef E V __attribute__((vector_size(N * sizeof(E))));
  constexpr int kBytes = sizeof(E);
  const auto* in = static_cast<const unsigned char*>(source);
  auto* out = static_cast<unsigned char*>(target);
  const std::int64_t full_rows = rows / N * N, full_columns = columns / N * N;
  for (std::int64_t row = 0; row < full_rows; row += N) {
    for (std::int64_t column = 0; column < full_columns; column += N) {
      V tile[N];
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) {
        std::memcpy(&tile[i], in + ((row + i) * in_ld + column) * kBytes, sizeof(V));
      }
      transpose_rows<N, N / 2>(tile);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) {
        std::memcpy(out + ((column + i) * out_ld + row) * kBytes, &tile[i], sizeof(V));
      }
    }
    transpose_edge<kBytes>(in + (row * in_ld + full_columns) * kBytes, in_ld,
                           out + (full_columns * out_ld + row) * kBytes, out_ld, N,
                           columns - full_columns);
  }
  transpose_edge<kBytes>(in + full_rows * in_ld * kBytes, in_ld, out + full_rows * kBytes, out_ld,
                         rows - full_rows, columns);
}

static void transpose_b1(const void* in, std::int64_t in_ld, void* out, std::int64_t out_ld,
                         std::int64_t rows, std::int64_t columns) noexcept {
  transpose_tiled<std::uint8_t, 16>(in, in_ld, out, out_ld, rows, columns);
}
static void transpose_b2(const void* in, std::int64_t in_ld, void* out, std::int64_t out_ld,
                         std::int64_t rows, std::int64_t columns) noexcept {
  transpose_tiled<std::uint16_t, 8>(in, in_ld, out, out_ld, rows, columns);
}
static void transpose_b4(const void* in, std::int64_t in_ld, void* out, std::int64_t out_ld,
                         std::int64_t rows, std::int64_t columns) noexcept {
  transpose_tiled<float, kLanes>(in, in_ld, out, out_ld, rows, columns);
}
static void transpose_b8(const void* in, std::int64_t in_ld, void* out, std::int64_t out_ld,
                         std::int64_t rows, std::int64_t columns) noexcept {
  transpose_tiled<double, kLanes / 2>(in, in_ld, out, out_ld, rows, columns);
}
static void transpose_b16(const void* in, std::int64_t in_ld, void* out, std::int64_t out_ld,
                          std::int64_t rows, std::int64_t columns) noexcept {
  transpose_edge<16>(static_cast<const unsigned char*>(in), in_ld, static_cast<unsigned char*>(out),
                     out_ld, rows, columns);
}

extern const kernels::Transpose transpose;
const kernels::Transpose transpose = {transpose_b1, transpose_b2, transpose_b4, transpose_b8,
                                      transpose_b16};

}  // namespace lanewise::LANEWISE_ISA
