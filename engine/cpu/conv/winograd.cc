// Winograd's algorithm for 3 x 3 convolution (Lavin & Gray 2016): tiles of the image to
// frequencies, one matrix product per frequency, and back. A block of tiles goes through all three
// before the next one begins, so that its frequencies stay in the second-level cache. A kernel with
// depth is a sum over its planes, which the matrix products take as their taps.
#include "engine/kernels/winograd/winograd.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/conv/conv.h"
#include "engine/cpu/conv/winograd_weights.h"
#include "engine/cpu/gemm.h"

namespace lanewise {
namespace {

// A thread woken for less work than this costs more than it saves.
constexpr double kTaskMultiplyAdds = 5e5;
// Frequencies of a block, before and after the products, in a cache of 1 MiB or more.
constexpr std::int64_t kBlockBytes = 1 << 20;
// Tiles of a block, unless the image has fewer: below the first the weights, which each block reads
// once, take longer than the products; past the second nothing is gained.
constexpr std::int64_t kLeastBlock = 24, kMostBlock = 192;
// Weights that pass the caches are worth one more tile for so many bytes, even where frequencies
// pass them then too: 512 channels at 28 x 28 are fastest as one block.
constexpr std::int64_t kWeightsPerTile = 96 << 10;
// Threads share a block of tiles, each with outputs of its own, where each would read more bytes of
// weights than these for few tiles.
constexpr std::int64_t kOwnWeights = 4 << 20;
// Cycles that a vector of channels of one tile takes.
constexpr double kInputCycles[] = {40.0, 110.0}, kOutputCycles[] = {30.0, 90.0};
// Cycles that a vector of a product takes beside its multiply-adds: it is stored and read again.
constexpr double kProductCycles = 2.5;
// Bytes of weights per cycle and core, from memory and, for the second block on, a nearer cache.
constexpr double kMemoryBytes = 4.0, kCacheBytes = 8.0;

struct Winograd {
  ConvProblem p;
  int tile = 2;  // outputs of a tile along each axis
  const kernels::WinogradF32::Transforms* kernel = nullptr;
  GemmPlan gemm;                                  // of one frequency
  std::int64_t rows = 0, columns = 0, tiles = 0;  // tiles of an image, and of all images
  std::int64_t block = 0, blocks = 0;             // tiles of a block; blocks
  // Panels of outputs that are multiplied and transformed back together.
  std::int64_t chunk_panels = 0, chunks = 1;
  bool shared = false;  // few blocks: all threads work on one, each on chunks of its own
  int threads = 1;
  // Floats from one tile to the next and from one frequency to the next.
  std::int64_t in_row = 0, in_step = 0, out_row = 0, out_step = 0;
  std::shared_ptr<const std::byte> weights;

  std::int64_t frequencies() const { return static_cast<std::int64_t>(tile + 2) * (tile + 2); }
  std::int64_t depth() const { return p.kernel[0]; }
  std::int64_t in_floats() const { return frequencies() * in_step; }
  std::int64_t out_floats() const { return frequencies() * out_step; }
};

// Rows of vectors whose first elements do not fall on one cache set.
std::int64_t frequency_step(std::int64_t floats) { return round_up(floats, 32) + 16; }

void choose_blocks(Winograd& plan) {
  const std::int64_t lanes = plan.gemm.kernel->lanes, height = plan.gemm.tile_rows();
  plan.in_row = round_up(plan.p.channels, lanes);
  const std::int64_t out_channels = round_up(plan.p.outputs, lanes);
  const std::int64_t tile_bytes =
      plan.frequencies() * (plan.depth() * plan.in_row + out_channels) * 4;
  const std::int64_t weight_bytes = plan.frequencies() * plan.gemm.packed_floats() * 4;
  const std::int64_t least = std::clamp(weight_bytes / kWeightsPerTile, kLeastBlock, kMostBlock);
  std::int64_t most = std::clamp(kBlockBytes / tile_bytes, least, kMostBlock);
  const std::int64_t each = divide_up(plan.tiles, plan.threads);
  plan.shared = plan.threads > 1 && each < (weight_bytes > kOwnWeights ? 2 : 1) * kLeastBlock;
  if (!plan.shared)
    most =
        std::min(most, each < 2 * kLeastBlock ? each : std::max(kLeastBlock, divide_up(each, 2)));
  const std::int64_t parts = divide_up(plan.tiles, most);
  plan.block = std::min(round_up(divide_up(plan.tiles, parts), height), plan.tiles);
  plan.blocks = divide_up(plan.tiles, plan.block);
  plan.chunks = plan.shared ? std::min<std::int64_t>(plan.gemm.panels(), 4 * plan.threads) : 1;
  plan.chunk_panels = divide_up(plan.gemm.panels(), plan.chunks);
  plan.chunks = divide_up(plan.gemm.panels(), plan.chunk_panels);
  plan.out_row = std::min(out_channels, plan.chunk_panels * plan.gemm.width());
  plan.in_step = frequency_step(plan.depth() * plan.block * plan.in_row);
  plan.out_step = frequency_step(plan.block * plan.out_row);
}

Winograd make_plan(const ConvProblem& p, const LowerContext& c, int tile, int threads) {
  Winograd plan;
  plan.p = p;
  plan.tile = tile;
  const kernels::WinogradF32& kernel = kernels::winograd_f32(c.isa());
  plan.kernel = tile == 2 ? &kernel.tile2 : &kernel.tile4;
  plan.gemm = plan_gemm(c.isa(), p.outputs, p.kernel[0], p.channels);
  plan.rows = divide_up(p.out[1], tile);
  plan.columns = divide_up(p.out[2], tile);
  plan.tiles = p.batch * p.out[0] * plan.rows * plan.columns;
  plan.threads = threads_worth(p.multiply_adds(), kTaskMultiplyAdds, threads);
  if (plan.tiles > 0) choose_blocks(plan);
  return plan;
}

// Where a tile begins in the output; planes of all images are counted through.
struct Place {
  std::int64_t plane, row, column;
};
Place place_of(const Winograd& plan, std::int64_t index) {
  const std::int64_t line = index / plan.columns;
  return {line / plan.rows, line % plan.rows * plan.tile, index % plan.columns * plan.tile};
}

// What plane `tap` of the kernel sees of tile `index`, to row `slot` of the block's frequencies.
void transform_plane(const Winograd& plan, const float* x, std::int64_t index, std::int64_t tap,
                     std::int64_t slot, float* to) {
  const ConvProblem& p = plan.p;
  const Place place = place_of(plan, index);
  const std::int64_t top = place.row - p.pad[1], left = place.column - p.pad[2],
                     size = plan.tile + 2;
  const std::int64_t image = place.plane / p.out[0];
  const std::int64_t depth = place.plane % p.out[0] * p.stride[0] - p.pad[0] + tap * p.dilation[0];
  const bool inside = depth >= 0 && depth < p.in[0];
  kernels::WinogradInput tile;
  tile.column_step = p.in_step();
  tile.row_step = p.in[2] * p.in_step();
  tile.in = x + (((image * p.in[0] + (inside ? depth : 0)) * p.in[1] + top) * p.in[2] + left) *
                    p.in_step();
  tile.row_begin = static_cast<int>(std::clamp<std::int64_t>(-top, 0, size));
  if (inside) tile.row_end = static_cast<int>(std::clamp<std::int64_t>(p.in[1] - top, 0, size));
  tile.column_begin = static_cast<int>(std::clamp<std::int64_t>(-left, 0, size));
  tile.column_end = static_cast<int>(std::clamp<std::int64_t>(p.in[2] - left, 0, size));
  tile.channels = p.channels;
  tile.out = to + slot * plan.in_row;
  tile.frequency_step = plan.in_step;
  plan.kernel->input(tile);
}

void transform_input(const Winograd& plan, const float* x, std::int64_t index, std::int64_t slot,
                     float* to) {
  for (std::int64_t tap = 0; tap < plan.depth(); ++tap) {
    transform_plane(plan, x, index, tap, tap * plan.block + slot, to);
  }
}

// The products of tiles [first, first + count) with a chunk of the outputs, and the transform back.
void finish_chunk(const Winograd& plan, const RunContext& run, std::int64_t first,
                  std::int64_t count, std::int64_t chunk, const float* const* table,
                  float* products) {
  const ConvProblem& p = plan.p;
  const std::int64_t begin = chunk * plan.chunk_panels;
  const std::int64_t end = std::min(plan.gemm.panels(), begin + plan.chunk_panels);
  const std::int64_t column = begin * plan.gemm.width();
  const auto* packed = reinterpret_cast<const float*>(plan.weights.get());
  for (std::int64_t f = 0; f < plan.frequencies(); ++f) {
    GemmOutput output;
    output.c = products + f * plan.out_step - column;
    output.ldc = plan.out_row;
    run_block(plan.gemm, {table, plan.block, f * plan.in_step, count},
              packed + f * plan.gemm.packed_floats(), begin, end, output);
  }
  kernels::WinogradOutput tile;
  tile.frequency_step = plan.out_step;
  tile.channels = std::min(p.outputs, end * plan.gemm.width()) - column;
  tile.column_step = p.out_step();
  tile.row_step = p.out[2] * p.out_step();
  if (run.has_in(2)) tile.epilogue.bias = run.in<float>(2) + column;
  tile.epilogue.activation = p.activation;
  tile.epilogue.alpha = p.alpha;
  tile.epilogue.beta = p.beta;
  for (std::int64_t i = 0; i < count; ++i) {
    const Place place = place_of(plan, first + i);
    const std::int64_t at =
        ((place.plane * p.out[1] + place.row) * p.out[2] + place.column) * p.out_step() + column;
    tile.in = products + i * plan.out_row;
    tile.out = run.out<float>(0) + at;
    tile.rows = static_cast<int>(std::min<std::int64_t>(plan.tile, p.out[1] - place.row));
    tile.columns = static_cast<int>(std::min<std::int64_t>(plan.tile, p.out[2] - place.column));
    if (run.has_in(3)) tile.epilogue.residual = run.in<float>(3) + at;
    plan.kernel->output(tile);
  }
}

// Scratch: for each block at work its frequencies and a pointer to each of its tiles there, then
// for each thread its products.
std::size_t in_bytes(const Winograd& plan) {
  return aligned_size(plan.in_floats() * 4) +
         aligned_size(plan.depth() * plan.block * static_cast<std::int64_t>(sizeof(float*)));
}
std::size_t out_bytes(const Winograd& plan) { return aligned_size(plan.out_floats() * 4); }

struct Block {
  float* in;
  const float** table;
};
Block block_at(const Winograd& plan, std::byte* memory) {
  const Block block{reinterpret_cast<float*>(memory),
                    reinterpret_cast<const float**>(memory + aligned_size(plan.in_floats() * 4))};
  for (std::int64_t i = 0; i < plan.depth() * plan.block; ++i)
    block.table[i] = block.in + i * plan.in_row;
  return block;
}

// Threads take blocks of their own.
void run_apart(const Winograd& plan, const RunContext& run) {
  const std::size_t each = in_bytes(plan) + out_bytes(plan);
  parallel_tasks(std::min(plan.threads, run.threads), plan.blocks,
                 [&](std::int64_t task, int thread) {
                   std::byte* memory = run.scratch + each * static_cast<std::size_t>(thread);
                   const Block block = block_at(plan, memory);
                   const std::int64_t first = task * plan.block,
                                      count = std::min(plan.block, plan.tiles - first);
                   for (std::int64_t i = 0; i < count; ++i)
                     transform_input(plan, run.in<float>(0), first + i, i, block.in);
                   auto* products = reinterpret_cast<float*>(memory + in_bytes(plan));
                   for (std::int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
                     finish_chunk(plan, run, first, count, chunk, block.table, products);
                   }
                 });
}

// Threads share each block: its tiles, then its outputs.
void run_shared(const Winograd& plan, const RunContext& run) {
  const int threads = std::min(plan.threads, run.threads);
  const Block block = block_at(plan, run.scratch);
  for (std::int64_t first = 0; first < plan.tiles; first += plan.block) {
    const std::int64_t count = std::min(plan.block, plan.tiles - first);
    parallel_tasks(threads, count, [&](std::int64_t i, int) {
      transform_input(plan, run.in<float>(0), first + i, i, block.in);
    });
    parallel_tasks(threads, plan.chunks, [&](std::int64_t chunk, int thread) {
      std::byte* products =
          run.scratch + in_bytes(plan) + out_bytes(plan) * static_cast<std::size_t>(thread);
      finish_chunk(plan, run, first, count, chunk, block.table, reinterpret_cast<float*>(products));
    });
  }
}

bool fits(const ConvProblem& p) {
  return p.kernel[1] == 3 && p.kernel[2] == 3 && p.stride[1] == 1 && p.stride[2] == 1 &&
         p.dilation[1] == 1 && p.dilation[2] == 1 && p.group == 1;
}

ConvOffer offer(const ConvProblem& p, const LowerContext& c, int tile) {
  if (!fits(p)) return ConvOffer::refuse("not a 3 x 3 kernel of stride 1 in one group");
  if (c.numerics() == Numerics::kStrict)
    return ConvOffer::refuse("strict numerics keep the sums' own terms");
  if (c.content(1) == nullptr) return ConvOffer::refuse("the weights are not constant");
  if (c.has_input(3) && p.residual_step() != p.out_step())
    return ConvOffer::refuse("the residual's pixels lie otherwise than the output's");
  // As for one thread: the choice, and with it the result's bits, must not depend on their number.
  const Winograd plan = make_plan(p, c, tile, 1);
  const double lanes = static_cast<double>(plan.gemm.kernel->lanes);
  const double tiles = static_cast<double>(plan.tiles),
               frequencies = static_cast<double>(plan.frequencies());
  const double vectors = std::ceil(static_cast<double>(p.outputs) / lanes);
  const double multiply =
      frequencies * tiles * (gemm_row_cost(plan.gemm) / 2.0 + vectors * kProductCycles);
  const double bytes = frequencies * static_cast<double>(plan.gemm.packed_floats()) * 4.0;
  const double stream =
      bytes / kMemoryBytes + bytes * static_cast<double>(plan.blocks - 1) / kCacheBytes;
  const int kind = tile == 2 ? 0 : 1;
  const double inputs =
      std::ceil(static_cast<double>(p.channels) / lanes) * static_cast<double>(plan.depth());
  const double transforms = tiles * (inputs * kInputCycles[kind] + vectors * kOutputCycles[kind]);
  return {std::max(multiply, stream) + transforms, ""};
}

Step build(const ConvProblem& p, const LowerContext& c, int tile) {
  auto plan = std::make_shared<Winograd>(make_plan(p, c, tile, c.threads()));
  const std::int64_t floats = checked_multiply(plan->frequencies(), plan->gemm.packed_floats());
  const Tensor& weights = *c.content(1);
  const std::string key = "winograd m" + std::to_string(tile) + " " + plan->gemm.key();
  plan->weights = c.cache().get(weights, key, static_cast<std::size_t>(checked_multiply(floats, 4)),
                                [&](std::byte* to) {
                                  pack_winograd_weights(p, tile, plan->gemm, weights.as<float>(),
                                                        c.threads(), reinterpret_cast<float*>(to));
                                });
  const auto threads = static_cast<std::size_t>(plan->threads);
  Step step;
  step.scratch_bytes = plan->shared ? in_bytes(*plan) + out_bytes(*plan) * threads
                                    : (in_bytes(*plan) + out_bytes(*plan)) * threads;
  step.run = [plan](const RunContext& run) {
    if (plan->shared) {
      run_shared(*plan, run);
    } else {
      run_apart(*plan, run);
    }
  };
  return step;
}

}  // namespace

const ConvAlgorithm conv_winograd2 = {
    .name = "winograd 2x2",
    .offer = [](const ConvProblem& p, const LowerContext& c) { return offer(p, c, 2); },
    .build = [](const ConvProblem& p, const LowerContext& c) { return build(p, c, 2); }};

const ConvAlgorithm conv_winograd4 = {
    .name = "winograd 4x4",
    .offer = [](const ConvProblem& p, const LowerContext& c) { return offer(p, c, 4); },
    .build = [](const ConvProblem& p, const LowerContext& c) { return build(p, c, 4); }};

}  // namespace lanewise
