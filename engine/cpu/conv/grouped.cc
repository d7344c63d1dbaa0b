// Group convolution with as many outputs as channels per group, a small power of two of them: no
// multiply-add is spent on zeros, as merging groups (indirect.cc) does.
#include "engine/kernels/grouped/grouped.h"

#include <algorithm>
#include <memory>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/cpu/conv/conv.h"
#include "engine/cpu/conv/rows.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockRows = 4 * kernels::GroupedF32::kMaxRows;
// A thread woken for less work than this costs more than it saves.
constexpr double kTaskMultiplyAdds = 2e5;

// The tiles for groups of this many channels, or null.
const kernels::GroupedF32::Tile* find_tiles(const kernels::GroupedF32& kernel, std::int64_t size) {
  for (int s = 0; s < kernels::GroupedF32::kSizes; ++s) {
    if (size == (2 << s) && kernel.tiles[s][0] != nullptr) return kernel.tiles[s];
  }
  return nullptr;
}

ConvOffer offer(const ConvProblem& p, const LowerContext& c) {
  const kernels::GroupedF32& kernel = kernels::grouped_f32(c.isa());
  if (p.group_channels() != p.group_outputs()) {
    return ConvOffer::refuse("channels and outputs of a group differ in number");
  }
  if (find_tiles(kernel, p.group_channels()) == nullptr) {
    return ConvOffer::refuse("groups do not share vectors evenly");
  }
  if (c.content(1) == nullptr) return ConvOffer::refuse("the weights are not constant");
  const double vectors = static_cast<double>((p.channels + kernel.lanes - 1) / kernel.lanes);
  const double rows = static_cast<double>(p.batch * p.out_pixels());
  // A permutation and a multiply-add compete for one port where vectors are widest.
  return {rows * vectors * (static_cast<double>(p.taps() * p.group_channels()) + 4.0), ""};
}

struct Grouped {
  ConvProblem p;
  const kernels::GroupedF32* kernel;
  const kernels::GroupedF32::Tile* tiles;
  std::shared_ptr<const std::byte> weights, zeros;
  std::size_t table_bytes;
  int threads;

  std::int64_t vector_floats() const { return p.taps() * p.group_channels() * kernel->lanes; }
};

// [outputs][channels of a group][taps] to [vectors][taps][channels of a group][lanes].
void pack(const Grouped& plan, const float* from, float* to) {
  const ConvProblem& p = plan.p;
  const std::int64_t lanes = plan.kernel->lanes, size = p.group_channels();
  for (std::int64_t first = 0; first < p.outputs; first += lanes) {
    for (std::int64_t tap = 0; tap < p.taps(); ++tap) {
      for (std::int64_t i = 0; i < size; ++i) {
        for (std::int64_t o = first; o < first + lanes; ++o) {
          *to++ = o < p.outputs ? from[(o * size + i) * p.taps() + tap] : 0.0f;
        }
      }
    }
  }
}

void run_block(const Grouped& plan, const RunContext& run, std::int64_t first,
               const float** table) {
  const ConvProblem& p = plan.p;
  const std::int64_t count = std::min(kBlockRows, p.batch * p.out_pixels() - first);
  point_to_taps(p, run.in<float>(0), reinterpret_cast<const float*>(plan.zeros.get()), first, count,
                table, kBlockRows);
  const std::int64_t lanes = plan.kernel->lanes;
  kernels::GroupedTile tile;
  tile.row_step = kBlockRows;
  tile.taps = p.taps();
  tile.ldc = p.outputs;
  tile.epilogue.residual_stride = p.outputs;
  tile.epilogue.activation = p.activation;
  tile.epilogue.alpha = p.alpha;
  tile.epilogue.beta = p.beta;
  for (std::int64_t row = 0; row < count;) {
    const std::int64_t left = count - row;
    const int height = left >= kernels::GroupedF32::kMaxRows ? 2 : left >= 4 ? 1 : 0;
    tile.rows = table + row;
    tile.weights = reinterpret_cast<const float*>(plan.weights.get());
    for (std::int64_t channel = 0; channel < p.channels; channel += lanes) {
      const std::int64_t at = (first + row) * p.outputs + channel;
      tile.offset = channel;
      tile.columns = static_cast<int>(std::min(lanes, p.channels - channel));
      tile.c = run.out<float>(0) + at;
      tile.epilogue.bias = run.has_in(2) ? run.in<float>(2) + channel : nullptr;
      tile.epilogue.residual = run.has_in(3) ? run.in<float>(3) + at : nullptr;
      plan.tiles[height](tile);
      tile.weights += plan.vector_floats();
    }
    row += height == 2 ? kernels::GroupedF32::kMaxRows : height == 1 ? 4 : 1;
  }
}

Step build(const ConvProblem& p, const LowerContext& c) {
  auto plan = std::make_shared<Grouped>();
  plan->p = p;
  plan->kernel = &kernels::grouped_f32(c.isa());
  plan->tiles = find_tiles(*plan->kernel, p.group_channels());
  const std::int64_t lanes = plan->kernel->lanes;
  const std::int64_t vectors = (p.channels + lanes - 1) / lanes;
  const auto bytes = static_cast<std::size_t>(checked_multiply(vectors * plan->vector_floats(), 4));
  const Tensor& weights = *c.content(1);
  plan->weights = c.cache().get(
      weights, "grouped l" + std::to_string(lanes), bytes,
      [&](std::byte* to) { pack(*plan, weights.as<float>(), reinterpret_cast<float*>(to)); });
  plan->zeros = shared_zeros(static_cast<std::size_t>(p.channels) * 4);
  plan->table_bytes =
      static_cast<std::size_t>(checked_multiply(kBlockRows * p.taps(), sizeof(float*)));
  plan->threads = threads_worth(p.multiply_adds(), kTaskMultiplyAdds, c.threads());
  Step step;
  step.scratch_bytes = plan->table_bytes * static_cast<std::size_t>(plan->threads);
  step.run = [plan](const RunContext& run) {
    const std::int64_t rows = plan->p.batch * plan->p.out_pixels();
    const std::int64_t tasks = (rows + kBlockRows - 1) / kBlockRows;
    parallel_tasks(std::min(plan->threads, run.threads), tasks, [&](std::int64_t task, int thread) {
      std::byte* table = run.scratch + plan->table_bytes * static_cast<std::size_t>(thread);
      run_block(*plan, run, task * kBlockRows, reinterpret_cast<const float**>(table));
    });
  };
  return step;
}

}  // namespace

const ConvAlgorithm conv_grouped = {.name = "grouped", .offer = offer, .build = build};

}  // namespace lanewise
