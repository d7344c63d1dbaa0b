// Matrix products from register tiles: panels of B, blocks of K, and the order in which tiles run.
// Which rows are multiplied is the caller's: matrices in engine/ops/matmul.cc, windows in cpu/conv.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/kernels/gemm/bf16x3.h"
#include "engine/kernels/gemm/gemm.h"
#include "engine/kernels/layout/layout.h"

namespace lanewise {

// One product C[m x n] = A[m x (taps * k)] B. Packed B holds its columns in panels of
// `vectors * lanes`, each [taps][k][width]; the last panel is as narrow as whole vectors allow.
struct GemmPlan {
  const kernels::GemmF32* kernel = nullptr;
  kernels::TransposeFn transpose = nullptr;  // of float32
  std::int64_t n = 0, taps = 1, k = 0;
  int vectors = 1;
  std::int64_t depth = 0;  // of the sum, in elements of taps * k, that one pass over a panel covers
  // Set where products are computed from bfloat16 parts instead (gemm_bf16x3.h).
  const kernels::GemmBf16x3* bf16x3 = nullptr;

  std::int64_t width() const { return static_cast<std::int64_t>(vectors) * kernel->lanes; }
  std::int64_t panels() const { return (n + width() - 1) / width(); }
  std::int64_t packed_floats() const {
    return taps * k * ((n + kernel->lanes - 1) / kernel->lanes * kernel->lanes);
  }
  // Rows of a tile of a full panel.
  std::int64_t tile_rows() const { return kernel->max_rows[vectors]; }
  // Everything the packed bytes depend on but for B itself.
  std::string key() const;
};

GemmPlan plan_gemm(Isa isa, std::int64_t n, std::int64_t taps, std::int64_t k);

// Tile throughput lost to columns that do not fill vectors or panels: the time of one row of the
// product, in units of one multiply-add per vector.
double gemm_row_cost(const GemmPlan& plan);

// B before packing: element (tap, i, j) lies at tap * tap_stride + i * k_stride + j * n_stride.
struct PackSource {
  const float* data = nullptr;
  std::int64_t tap_stride = 0, k_stride = 0, n_stride = 0;
};

// Packs panels [begin, end); `packed` is where panel 0 begins.
void pack_panels(const GemmPlan& plan, const PackSource& source, std::int64_t begin,
                 std::int64_t end, float* packed);

// The rows of a block as the tiles take them (kernels::GemmTile).
struct GemmRows {
  const float* const* table = nullptr;
  std::int64_t step = 0;    // from one tap's pointers to the next one's
  std::int64_t offset = 0;  // added to each pointer
  std::int64_t count = 0;
  std::int64_t stride = 0;  // elements between rows that lie evenly, else 0
};

// C and what is added to it; `epilogue` is at row 0 and column 0 of the block.
struct GemmOutput {
  float* c = nullptr;
  std::int64_t ldc = 0;
  kernels::Epilogue epilogue;
};

// Computes panels [begin, end) of the rows, on one thread. The order of every sum is the plan's.
// `scratch` is needed by a plan with bf16x3.
void run_block(const GemmPlan& plan, const GemmRows& rows, const float* packed, std::int64_t begin,
               std::int64_t end, const GemmOutput& output, std::byte* scratch = nullptr);

}  // namespace lanewise
