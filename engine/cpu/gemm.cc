// Packing and the loops around the register tiles.
#include "engine/cpu/gemm.h"

#include <algorithm>

namespace lanewise {
namespace {

// Multiply-adds per cycle that a tile of so many vectors reaches, relative to the widest: narrow
// tiles load more elements for each multiply-add.
constexpr double kTileSpeed[] = {0.0, 0.8, 0.92, 0.98, 1.0};

// A pass over part of a panel should leave room for rows of A in a 32 or 48 KiB first-level cache.
constexpr std::int64_t kPassFloats = 128 * 64;

double row_cost(const kernels::GemmF32& kernel, std::int64_t n, int vectors) {
  const std::int64_t columns = (n + kernel.lanes - 1) / kernel.lanes;
  const std::int64_t full = columns / vectors, rest = columns % vectors;
  double cost = static_cast<double>(full * vectors) / kTileSpeed[vectors];
  if (rest != 0) cost += static_cast<double>(rest) / kTileSpeed[rest];
  return cost;
}

}  // namespace

std::string GemmPlan::key() const {
  return "gemm f32 n" + std::to_string(n) + " t" + std::to_string(taps) + " k" + std::to_string(k) +
         " l" + std::to_string(kernel->lanes) + " v" + std::to_string(vectors);
}

GemmPlan plan_gemm(Isa isa, std::int64_t n, std::int64_t taps, std::int64_t k) {
  GemmPlan plan;
  plan.kernel = &kernels::gemm_f32(isa);
  plan.n = n;
  plan.taps = taps;
  plan.k = k;
  for (int vectors = plan.kernel->vectors; vectors >= 1; --vectors) {
    const bool better = row_cost(*plan.kernel, n, vectors) < row_cost(*plan.kernel, n, plan.vectors);
    if (vectors == plan.kernel->vectors || better) plan.vectors = vectors;
  }
  plan.depth = std::max<std::int64_t>(1, kPassFloats / plan.width());
  return plan;
}

double gemm_row_cost(const GemmPlan& plan) {
  return static_cast<double>(plan.taps * plan.k) * row_cost(*plan.kernel, plan.n, plan.vectors);
}

void pack_panels(const GemmPlan& plan, const PackSource& source, std::int64_t begin, std::int64_t end,
                 float* packed) {
  const std::int64_t depth = plan.taps * plan.k, lanes = plan.kernel->lanes;
  for (std::int64_t p = begin; p < end; ++p) {
    const std::int64_t first = p * plan.width();
    const std::int64_t columns = std::min(plan.width(), plan.n - first);
    const std::int64_t width = (columns + lanes - 1) / lanes * lanes;
    float* panel = packed + first * depth;
    const float* column = source.data + first * source.n_stride;
    if (source.n_stride == 1) {
      for (std::int64_t t = 0; t < plan.taps; ++t) {
        for (std::int64_t i = 0; i < plan.k; ++i, panel += width) {
          const float* from = column + t * source.tap_stride + i * source.k_stride;
          std::copy(from, from + columns, panel);
          std::fill(panel + columns, panel + width, 0.0f);
        }
      }
      continue;
    }
    // Column by column: the source is read in the order in which a filter lies in memory.
    if (columns < width) std::fill(panel, panel + depth * width, 0.0f);
    for (std::int64_t j = 0; j < columns; ++j, column += source.n_stride) {
      for (std::int64_t i = 0; i < plan.k; ++i) {
        const float* from = column + i * source.k_stride;
        float* to = panel + i * width + j;
        for (std::int64_t t = 0; t < plan.taps; ++t) {
          to[t * plan.k * width] = from[t * source.tap_stride];
        }
      }
    }
  }
}

void run_block(const GemmPlan& plan, const GemmRows& rows, const float* packed, std::int64_t begin,
               std::int64_t end, const GemmOutput& output) {
  const kernels::GemmF32& kernel = *plan.kernel;
  const std::int64_t sum = plan.taps * plan.k;
  kernels::GemmTile tile;
  tile.row_step = rows.step;
  tile.ldc = output.ldc;
  for (std::int64_t p = begin; p < end; ++p) {
    const std::int64_t column = p * plan.width();
    const std::int64_t columns = std::min(plan.width(), plan.n - column);
    const std::int64_t vectors = (columns + kernel.lanes - 1) / kernel.lanes;
    const std::int64_t width = vectors * kernel.lanes;
    const kernels::GemmF32::Tile* tiles = kernel.tiles[vectors];
    const std::int64_t tallest = kernel.max_rows[vectors];
    const std::int64_t count = (rows.count + tallest - 1) / tallest;
    tile.columns = static_cast<int>(columns);
    // A single tile reads the panel once: nothing is gained by cutting the sum.
    const std::int64_t depth = count == 1 ? std::max<std::int64_t>(sum, 1) : plan.depth;
    const std::int64_t taps_per_pass = std::max<std::int64_t>(1, depth / std::max<std::int64_t>(1, plan.k));
    const std::int64_t passes_per_tap = std::max<std::int64_t>(1, (plan.k + depth - 1) / depth);
    std::int64_t tap = 0, pass = 0;
    do {
      std::int64_t k_begin = 0;
      if (passes_per_tap > 1) {
        k_begin = plan.k * pass / passes_per_tap;
        tile.k = plan.k * (pass + 1) / passes_per_tap - k_begin;
        tile.taps = 1;
      } else {
        tile.k = plan.k;
        tile.taps = std::min(taps_per_pass, plan.taps - tap);
      }
      tile.offset = rows.offset + k_begin;
      tile.panel = packed + column * sum + (tap * plan.k + k_begin) * width;
      tile.first = tap == 0 && pass == 0;
      // The tiles of this pass share the fetching of the next one, which follows in memory.
      const std::int64_t pass_bytes = tile.taps * tile.k * width * 4;
      const auto* next = reinterpret_cast<const char*>(tile.panel) + pass_bytes;
      tile.ahead_step = width * 4 / count;
      const std::int64_t this_tap = tap;
      if (++pass == passes_per_tap) {
        pass = 0;
        tap += tile.taps;
      }
      tile.last = tap >= plan.taps;
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = rows.count * i / count;
        const std::int64_t height = rows.count * (i + 1) / count - row;
        tile.rows = rows.table + this_tap * rows.step + row;
        tile.ahead = next + pass_bytes * i / count;
        tile.c = output.c + row * output.ldc + column;
        tile.epilogue = output.epilogue;
        if (tile.epilogue.bias != nullptr) tile.epilogue.bias += column;
        if (tile.epilogue.residual != nullptr) {
          tile.epilogue.residual += row * output.epilogue.residual_stride + column;
        }
        tiles[height](tile);
      }
    } while (tap < plan.taps);
  }
}

}  // namespace lanewise
