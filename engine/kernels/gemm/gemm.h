// Register tiles of matrix products: a few rows, read in place through pointers, times one packed
// panel of columns. Blocking, packing and threads are in engine/cpu/gemm.h.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// C[r, j] = sum over t < taps, i < k of rows[t * row_step + r][offset + i] * panel[t][i][j].
// A matrix product has one tap; a convolution has one per position of its window, and rows
// outside the image point to zeros. The sum runs over t, then i, in order.
struct GemmTile {
  const float* const* rows = nullptr;
  std::int64_t row_step = 0;
  std::int64_t taps = 1;
  std::int64_t k = 0;
  std::int64_t offset = 0;
  const float* panel = nullptr;  // [taps][k][vectors * lanes]
  std::int64_t panel_step = 0;   // floats to the next panel; row_panels only
  float* c = nullptr;
  std::int64_t ldc = 0;  // elements between rows of C
  int columns = 0;       // of C, at most vectors * lanes, more than (vectors - 1) * lanes
  // For two steps of k a cache line is fetched ahead, for a long step a second halfway, and
  // the address advances.
  const char* ahead = nullptr;
  std::int64_t ahead_step = 0;  // bytes
  // A long sum is cut into several calls: the first starts from bias and residual, the others from
  // C; the last applies the activation.
  bool first = true;
  bool last = true;
  // Bias at the tile's first column, residual at its first element; the residual may be C itself.
  Epilogue epilogue;
};

struct GemmF32 {
  static constexpr int kMaxVectors = 4;
  static constexpr int kRowPanels = 4;
  using Tile = void (*)(const GemmTile&) noexcept;

  int lanes;    // floats per vector
  int vectors;  // the widest panel has this many vectors; a column tail uses fewer
  int max_rows[kMaxVectors + 1];       // the tallest tile for a panel of so many vectors
  const Tile* tiles[kMaxVectors + 1];  // tiles[vectors][rows]
  // One row times kRowPanels whole panels of the widest kind. C and the residual count a panel's
  // columns as a row; there is no bias, as it would be the same for all of them.
  Tile row_panels;
};

const GemmF32& gemm_f32(Isa isa);

}  // namespace lanewise::kernels
