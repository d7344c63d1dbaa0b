// isas: baseline avx2 avx512
// The float32 register tiles. Accumulators, one row of the panel and one broadcast element fill
// the register file; tools/asm checks that nothing spills in the inner loop.
#include "engine/kernels/gemm/gemm.h"
#include "engine/simd/activation.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Activation;
using kernels::Epilogue;
using kernels::GemmF32;
using kernels::GemmTile;

constexpr int kLineBytes = 64;

LANEWISE_INLINE F32 load_columns(const float* p, int n) {
  return n >= kLanes ? load(p) : load_first(p, n);
}

LANEWISE_INLINE void store_columns(float* p, F32 v, int n) {
  if (n >= kLanes) {
    store(p, v);
  } else {
    store_first(p, v, n);
  }
}

// The activations that are more than a clamp run over the stored tile, which is still in L1: their
// code is not repeated in every instantiation.
__attribute__((noinline)) void activate_tile(const GemmTile& t, int rows) noexcept {
  const F32 alpha = splat(t.epilogue.alpha), beta = splat(t.epilogue.beta);
  for (int r = 0; r < rows; ++r) {
    float* c = t.c + r * t.ldc;
    for (int j = 0; j < t.columns; j += kLanes) {
      const F32 v = load_columns(c + j, t.columns - j);
      store_columns(c + j, activate(t.epilogue.activation, v, alpha, beta), t.columns - j);
    }
  }
}

template <int kRows, int kVectors>
LANEWISE_INLINE void start(const GemmTile& t, int tail, F32 (&sums)[kRows][kVectors]) {
  constexpr int kLast = kVectors - 1;
  if (!t.first) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float* c = t.c + r * t.ldc;
#pragma GCC unroll 16
      for (int v = 0; v < kLast; ++v) sums[r][v] = load(c + v * kLanes);
      sums[r][kLast] = load_columns(c + kLast * kLanes, tail);
    }
    return;
  }
  F32 bias[kVectors] = {};
  if (t.epilogue.bias != nullptr) {
#pragma GCC unroll 16
    for (int v = 0; v < kLast; ++v) bias[v] = load(t.epilogue.bias + v * kLanes);
    bias[kLast] = load_columns(t.epilogue.bias + kLast * kLanes, tail);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sums[r][v] = bias[v];
  }
  if (t.epilogue.residual != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float* residual = t.epilogue.residual + r * t.epilogue.residual_stride;
#pragma GCC unroll 16
      for (int v = 0; v < kLast; ++v) sums[r][v] += load(residual + v * kLanes);
      sums[r][kLast] += load_columns(residual + kLast * kLanes, tail);
    }
  }
}

template <int kRows, int kVectors>
LANEWISE_INLINE void finish(const GemmTile& t, int tail, F32 (&sums)[kRows][kVectors]) {
  constexpr int kLast = kVectors - 1;
  const Activation activation = t.last ? t.epilogue.activation : Activation::kNone;
  const bool clamp = activation == Activation::kRelu || activation == Activation::kClip;
  if (clamp) {
    const bool relu = activation == Activation::kRelu;
    const F32 low = splat(relu ? 0.0f : t.epilogue.alpha);
    const F32 high = splat(relu ? __builtin_inff() : t.epilogue.beta);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[r][v] = min(high, max(low, sums[r][v]));
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* c = t.c + r * t.ldc;
#pragma GCC unroll 16
    for (int v = 0; v < kLast; ++v) store(c + v * kLanes, sums[r][v]);
    store_columns(c + kLast * kLanes, sums[r][kLast], tail);
  }
  if (activation != Activation::kNone && !clamp) activate_tile(t, kRows);
}

// Element i of each row times one row of the panel.
template <int kRows, int kVectors>
LANEWISE_INLINE void add_products(const float* const (&a)[kRows], std::int64_t i, const float* b,
                                  F32 (&sums)[kRows][kVectors]) {
  F32 panel[kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) panel[v] = load(b + v * kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const F32 x = splat(a[r][i]);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sums[r][v] = fma(x, panel[v], sums[r][v]);
  }
}

template <int kRows, int kVectors>
void tile(const GemmTile& t) noexcept {
  const int tail = t.columns - (kVectors - 1) * kLanes;
  F32 sums[kRows][kVectors];
  start(t, tail, sums);
  const float* b = t.panel;
  const float* const* rows = t.rows;
  const char* ahead = t.ahead;
  const std::int64_t half = t.ahead_step / 2;
  const bool dense = half > kLineBytes / 4;  // a line now and then would be left out
  for (std::int64_t tap = 0; tap < t.taps; ++tap, rows += t.row_step) {
    const float* a[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) a[r] = rows[r] + t.offset;
    std::int64_t i = 0;
    for (; i + 2 <= t.k; i += 2, b += 2 * kVectors * kLanes) {
      __builtin_prefetch(ahead, 0, 2);  // into the second level
      add_products(a, i, b, sums);
      if (dense) __builtin_prefetch(ahead + half, 0, 2);
      ahead += t.ahead_step;
      add_products(a, i + 1, b + kVectors * kLanes, sums);
    }
    if (i < t.k) {
      add_products(a, i, b, sums);
      b += kVectors * kLanes;
    }
  }
  finish(t, tail, sums);
}

// One row times several whole panels: row r of the tile is panel r, so that memory is read as
// several streams, which reaches more of its bandwidth than one.
template <int kPanels, int kVectors>
void row_tile(const GemmTile& t) noexcept {
  F32 sums[kPanels][kVectors];
  start(t, kLanes, sums);
  const float* b = t.panel;
  const float* const* rows = t.rows;
  for (std::int64_t tap = 0; tap < t.taps; ++tap, rows += t.row_step) {
    const float* a = rows[0] + t.offset;
    for (std::int64_t i = 0; i < t.k; ++i, b += kVectors * kLanes) {
      const F32 x = splat(a[i]);
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          sums[p][v] = fma(x, load(b + p * t.panel_step + v * kLanes), sums[p][v]);
      }
    }
  }
  finish(t, kLanes, sums);
}

// tiles[rows], rows from 1.
template <int kVectors, int kMaxRows>
struct Tiles;
#define LANEWISE_T(rows) tile<rows, kVectors>
template <int kVectors>
struct Tiles<kVectors, 4> {
  static constexpr GemmF32::Tile list[] = {nullptr, LANEWISE_T(1), LANEWISE_T(2), LANEWISE_T(3),
                                           LANEWISE_T(4)};
};
template <int kVectors>
struct Tiles<kVectors, 6> {
  static constexpr GemmF32::Tile list[] = {nullptr,       LANEWISE_T(1), LANEWISE_T(2),
                                           LANEWISE_T(3), LANEWISE_T(4), LANEWISE_T(5),
                                           LANEWISE_T(6)};
};
template <int kVectors>
struct Tiles<kVectors, 8> {
  static constexpr GemmF32::Tile list[] = {nullptr,       LANEWISE_T(1), LANEWISE_T(2),
                                           LANEWISE_T(3), LANEWISE_T(4), LANEWISE_T(5),
                                           LANEWISE_T(6), LANEWISE_T(7), LANEWISE_T(8)};
};
template <int kVectors>
struct Tiles<kVectors, 12> {
  static constexpr GemmF32::Tile list[] = {
      nullptr,        LANEWISE_T(1),  LANEWISE_T(2), LANEWISE_T(3), LANEWISE_T(4),
      LANEWISE_T(5),  LANEWISE_T(6),  LANEWISE_T(7), LANEWISE_T(8), LANEWISE_T(9),
      LANEWISE_T(10), LANEWISE_T(11), LANEWISE_T(12)};
};
#undef LANEWISE_T

}  // namespace

extern const GemmF32 gemm_f32;
#if defined(LANEWISE_ISA_AVX512)
const GemmF32 gemm_f32 = {.lanes = kLanes,
                          .vectors = 4,
                          .max_rows = {0, 12, 12, 8, 6},
                          .tiles = {nullptr, Tiles<1, 12>::list, Tiles<2, 12>::list,
                                    Tiles<3, 8>::list, Tiles<4, 6>::list},
                          .row_panels = row_tile<GemmF32::kRowPanels, 4>};
#elif defined(LANEWISE_ISA_AVX2)
const GemmF32 gemm_f32 = {.lanes = kLanes,
                          .vectors = 2,
                          .max_rows = {0, 12, 6},
                          .tiles = {nullptr, Tiles<1, 12>::list, Tiles<2, 6>::list},
                          .row_panels = row_tile<GemmF32::kRowPanels, 2>};
#else
const GemmF32 gemm_f32 = {.lanes = kLanes,
                          .vectors = 2,
                          .max_rows = {0, 8, 4},
                          .tiles = {nullptr, Tiles<1, 8>::list, Tiles<2, 4>::list},
                          .row_panels = row_tile<GemmF32::kRowPanels, 2>};
#endif

}  // namespace lanewise::LANEWISE_ISA
