// Packing and the loops around the register tiles.
#include "engine/cpu/gemm.h"

#include <algorithm>

#include "engine/cpu/gemm_bf16x3.h"

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

// Floats between what one tile alone multiplies and what it fetches.
constexpr std::int64_t kStreamAhead = 1024;

// A panel as its tiles see it.
struct Panel {
  const kernels::GemmF32::Tile* tiles;
  std::int64_t column, width;
  std::int64_t count;      // of tiles, one above the other
  std::int64_t low, high;  // `high` tiles of low + 1 rows, then tiles of `low` rows
};

Panel panel_of(const GemmPlan& plan, std::int64_t index, std::int64_t rows) {
  const kernels::GemmF32& kernel = *plan.kernel;
  const std::int64_t column = index * plan.width();
  const std::int64_t columns = std::min(plan.width(), plan.n - column);
  const std::int64_t vectors = (columns + kernel.lanes - 1) / kernel.lanes;
  const std::int64_t tallest = kernel.max_rows[vectors];
  const std::int64_t count = (rows + tallest - 1) / tallest;
  return {kernel.tiles[vectors], column, vectors * kernel.lanes, count, rows / count, rows % count};
}

// What the tiles of a pass fetch while they compute: `bytes` by each, from `begin` on.
struct Ahead {
  const void* begin;
  std::int64_t bytes;
};

// All tiles of a panel for one part of the sum, which `tile` describes.
void run_pass(const Panel& panel, kernels::GemmTile tile, const Ahead& ahead,
              const GemmOutput& output) {
  tile.ahead = static_cast<const char*>(ahead.begin);
  tile.ahead_step = 2 * ahead.bytes / std::max<std::int64_t>(1, tile.taps * tile.k);
  tile.c = output.c + panel.column;
  tile.ldc = output.ldc;
  tile.epilogue = output.epilogue;
  if (tile.epilogue.bias != nullptr) tile.epilogue.bias += panel.column;
  if (tile.epilogue.residual != nullptr) tile.epilogue.residual += panel.column;
  for (std::int64_t i = 0; i < panel.count; ++i) {
    const std::int64_t rows = panel.low + (i < panel.high ? 1 : 0);
    panel.tiles[rows](tile);
    tile.rows += rows;
    tile.c += rows * output.ldc;
    if (tile.epilogue.residual != nullptr)
      tile.epilogue.residual += rows * tile.epilogue.residual_stride;
    tile.ahead += ahead.bytes;
  }
}

// One panel's columns of a block of rows; `fresh` where the rows have not been read yet.
void run_panel(const GemmPlan& plan, const GemmRows& rows, const float* packed, std::int64_t index,
               bool fresh, const GemmOutput& output) {
  const std::int64_t sum = plan.taps * plan.k;
  const Panel panel = panel_of(plan, index, rows.count);
  kernels::GemmTile tile;
  tile.row_step = rows.step;
  tile.columns = static_cast<int>(std::min(panel.width, plan.n - panel.column));
  tile.panel = packed + panel.column * sum;
  // A single tile reads the panel once: nothing is gained by cutting the sum.
  const std::int64_t depth = panel.count == 1 ? std::max<std::int64_t>(sum, 1) : plan.depth;
  const std::int64_t taps_at_once =
      std::max<std::int64_t>(1, depth / std::max<std::int64_t>(1, plan.k));
  const std::int64_t parts = std::max<std::int64_t>(1, (plan.k + depth - 1) / depth);  // of one tap
  for (std::int64_t tap = 0; tap == 0 || tap < plan.taps; tap += tile.taps) {
    tile.taps = std::min(taps_at_once, plan.taps - tap);
    tile.rows = rows.table + tap * rows.step;
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t k = plan.k * part / parts;
      tile.k = plan.k * (part + 1) / parts - k;
      tile.offset = rows.offset + k;
      tile.first = tap == 0 && part == 0;
      tile.last = tap + tile.taps >= plan.taps && part + 1 == parts;
      const std::int64_t floats = tile.taps * tile.k * panel.width;
      // The next part of the panel follows in memory; the first pass fetches its own next rows.
      Ahead ahead{tile.panel + floats, floats * 4 / panel.count};
      if (rows.stride != 0 && fresh && tile.first) {
        ahead = {rows.table[0] + (panel.low + 1) * rows.stride, panel.low * rows.stride * 4};
      }
      // One tile reads the panel as a stream: what it fetched far ahead would be gone again.
      if (panel.count == 1) ahead = {tile.panel + kStreamAhead, floats * 4};
      run_pass(panel, tile, ahead, output);
      tile.panel += floats;
    }
  }
}

// One row times whole panels, several at a time; returns the first panel that is left.
std::int64_t run_row(const GemmPlan& plan, const GemmRows& rows, const float* packed,
                     std::int64_t begin, std::int64_t end, const GemmOutput& output) {
  constexpr std::int64_t kPanels = kernels::GemmF32::kRowPanels;
  if (plan.vectors != plan.kernel->vectors || output.epilogue.residual != nullptr) return begin;
  kernels::GemmTile tile;
  tile.rows = rows.table;
  tile.row_step = rows.step;
  tile.taps = plan.taps;
  tile.k = plan.k;
  tile.offset = rows.offset;
  tile.panel_step = plan.taps * plan.k * plan.width();
  tile.ldc = plan.width();
  tile.columns = static_cast<int>(plan.width());
  tile.epilogue = output.epilogue;
  tile.epilogue.bias = nullptr;
  tile.epilogue.residual_stride = plan.width();
  for (; begin + kPanels <= std::min(end, plan.n / plan.width()); begin += kPanels) {
    const std::int64_t column = begin * plan.width();
    tile.panel = packed + begin * tile.panel_step;
    tile.c = output.c + column;
    if (output.epilogue.bias != nullptr) tile.epilogue.residual = output.epilogue.bias + column;
    plan.kernel->row_panels(tile);
  }
  return begin;
}

}  // namespace

std::string GemmPlan::key() const {
  return "gemm f32 n" + std::to_string(n) + " t" + std::to_string(taps) + " k" + std::to_string(k) +
         " l" + std::to_string(kernel->lanes) + " v" + std::to_string(vectors);
}

GemmPlan plan_gemm(Isa isa, std::int64_t n, std::int64_t taps, std::int64_t k) {
  GemmPlan plan;
  plan.kernel = &kernels::gemm_f32(isa);
  plan.transpose = kernels::transpose(isa).b4;
  plan.n = n;
  plan.taps = taps;
  plan.k = k;
  for (int vectors = plan.kernel->vectors; vectors >= 1; --vectors) {
    const bool better =
        row_cost(*plan.kernel, n, vectors) < row_cost(*plan.kernel, n, plan.vectors);
    if (vectors == plan.kernel->vectors || better) plan.vectors = vectors;
  }
  plan.depth = std::max<std::int64_t>(1, kPassFloats / plan.width());
  return plan;
}

double gemm_row_cost(const GemmPlan& plan) {
  return static_cast<double>(plan.taps * plan.k) * row_cost(*plan.kernel, plan.n, plan.vectors);
}

void pack_panels(const GemmPlan& plan, const PackSource& source, std::int64_t begin,
                 std::int64_t end, float* packed) {
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
    if (plan.taps == 1 && source.k_stride == 1) {
      plan.transpose(column, source.n_stride, panel, width, columns, plan.k);
      continue;
    }
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
               std::int64_t end, const GemmOutput& output, std::byte* scratch) {
  if (rows.count == 0) return;
  if (plan.bf16x3 != nullptr) {
    run_bf16x3_block(plan, rows, packed, begin, end, output, scratch);
    return;
  }
  if (rows.count == 1) begin = run_row(plan, rows, packed, begin, end, output);
  for (std::int64_t p = begin; p < end; ++p) run_panel(plan, rows, packed, p, p == begin, output);
}

}  // namespace lanewise
