// Convolution as a matrix product whose rows are found through pointers: one per window position,
// or one per row of window positions where few channels would make each sum short. A 1 x 1
// convolution is the case with one pointer. Nothing is copied but windows at the image's edge.
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/conv/conv.h"
#include "engine/cpu/conv/rows.h"
#include "engine/cpu/gemm.h"
#include "engine/cpu/gemm_bf16x3.h"

namespace lanewise {
namespace {

// Rows of a block: enough tiles to reuse a panel from the caches, few enough that their pointers,
// at most kTableEntries per thread, and outputs stay near.
constexpr std::int64_t kBlockRows = 192;
constexpr std::int64_t kTableEntries = 1 << 15;
// A thread woken for less work than this costs more than it saves (about 5 us).
constexpr double kTaskMultiplyAdds = 5e5;
// Up to so many bytes of weights, every thread reads all of them and keeps to its own rows, which
// it wrote in the step before.
constexpr std::int64_t kSharedWeights = 1 << 20;

// What distinguishes the algorithms of this file.
struct Kind {
  bool tap_rows = false;
  bool bf16x3 = false;
};

struct Indirect {
  ConvProblem p;
  bool tap_rows = false;
  std::int64_t groups = 1;    // after merging
  std::int64_t channels = 0;  // per group, after merging
  GemmPlan gemm;              // of one group
  std::int64_t block_rows = 0, row_blocks = 0;
  std::int64_t column_chunks = 1;
  int threads = 1;
  std::shared_ptr<const std::byte> weights;  // packed while planning, or null
  std::shared_ptr<const std::byte> zeros;
  // Bytes of scratch: packed weights first where they are not constant, then for each thread its
  // pointers, its edge rows and what a block needs.
  std::size_t weight_bytes = 0, table_bytes = 0, edge_bytes = 0, block_bytes = 0;

  std::size_t thread_bytes() const { return table_bytes + edge_bytes + block_bytes; }
  std::int64_t units() const { return groups * gemm.panels(); }
};

// Group convolutions with few outputs per group leave most of a vector empty. Merging groups, with
// zeros in the weights between them, fills it: as many multiply-adds, in longer sums.
std::int64_t choose_merge(const ConvProblem& p, Isa isa, bool constant) {
  std::int64_t best = 1;
  double best_cost = 0.0;
  for (std::int64_t merge = 1; merge <= p.group && constant; ++merge) {
    if (p.group % merge != 0 || (merge > 1 && p.group_outputs() * merge > 64)) continue;
    const GemmPlan plan =
        plan_gemm(isa, p.group_outputs() * merge, p.taps(), p.group_channels() * merge);
    const double overhead = kTapOverhead * static_cast<double>(p.taps() * plan.panels());
    const double cost = (gemm_row_cost(plan) + overhead) * static_cast<double>(p.group / merge);
    if (merge == 1 || cost < best_cost) {
      best = merge;
      best_cost = cost;
    }
  }
  return best;
}

Indirect make_plan(const ConvProblem& p, const LowerContext& c, Kind kind) {
  Indirect plan;
  plan.p = p;
  const bool tap_rows = plan.tap_rows = kind.tap_rows;
  const bool constant = c.content(1) != nullptr;
  const std::int64_t merge = tap_rows ? 1 : choose_merge(p, c.isa(), constant);
  plan.groups = p.group / merge;
  plan.channels = p.group_channels() * merge;
  const std::int64_t run = tap_rows ? p.kernel[2] : 1;
  plan.gemm = plan_gemm(c.isa(), p.group_outputs() * merge, p.taps() / run, plan.channels * run);
  if (kind.bf16x3) use_bf16x3(plan.gemm, c.isa());

  const std::int64_t rows = p.batch * p.out_pixels();
  const std::int64_t tile = plan.gemm.tile_rows();
  const std::int64_t most = std::clamp(kTableEntries / plan.gemm.taps, tile,
                                       kind.bf16x3 ? bf16x3_block_rows(plan.gemm) : kBlockRows);
  plan.threads = threads_worth(p.multiply_adds(), kTaskMultiplyAdds, c.threads());
  std::int64_t blocks = divide_up(rows, most);
  const std::int64_t weight_bytes = plan.groups * plan.gemm.packed_floats() * 4;
  const bool few_weights = weight_bytes <= kSharedWeights;
  if (plan.threads > 1 && few_weights && rows >= 2 * tile * plan.threads) {
    blocks = round_up(blocks, plan.threads);
  }
  plan.block_rows = round_up(divide_up(rows, std::max<std::int64_t>(1, blocks)), tile);
  plan.row_blocks = rows == 0 ? 0 : divide_up(rows, plan.block_rows);
  const bool by_rows = few_weights && plan.row_blocks >= plan.threads;
  if (plan.threads > 1 && plan.row_blocks < 4 * plan.threads && !by_rows) {
    const std::int64_t wanted =
        divide_up(4 * plan.threads, std::max<std::int64_t>(1, plan.row_blocks));
    plan.column_chunks = std::clamp<std::int64_t>(wanted, 1, plan.units());
  }
  return plan;
}

// Weights of one merged group as one dense filter bank [outputs][channels][taps], zeros between
// its groups.
std::vector<float> merge_group(const Indirect& plan, const float* weights, std::int64_t group) {
  const ConvProblem& p = plan.p;
  const std::int64_t merge = p.group / plan.groups, taps = p.taps();
  const std::int64_t small = p.group_channels() * taps;
  std::vector<float> dense(static_cast<std::size_t>(plan.gemm.n * plan.channels * taps), 0.0f);
  for (std::int64_t o = 0; o < plan.gemm.n; ++o) {
    const float* from = weights + (group * plan.gemm.n + o) * small;
    std::copy(from, from + small, dense.data() + (o * merge + o / p.group_outputs()) * small);
  }
  return dense;
}

void pack_group(const Indirect& plan, const float* weights, std::int64_t group, float* packed) {
  const ConvProblem& p = plan.p;
  const std::int64_t taps = p.taps();
  GemmPlan whole = plan.gemm;  // rows of taps are packed as the taps they consist of
  whole.taps = taps;
  whole.k = plan.channels;
  PackSource source{nullptr, 1, taps, plan.channels * taps};
  std::vector<float> dense;
  if (plan.groups == p.group) {
    source.data = weights + group * plan.gemm.n * source.n_stride;
  } else {
    dense = merge_group(plan, weights, group);
    source.data = dense.data();
  }
  pack_panels(whole, source, 0, whole.panels(), packed + group * plan.gemm.packed_floats());
}

// One task: a block of rows times a chunk of the panels of all groups.
void run_task(const Indirect& plan, const RunContext& run, const float* packed, std::byte* scratch,
              std::int64_t task) {
  const ConvProblem& p = plan.p;
  const std::int64_t first = task / plan.column_chunks * plan.block_rows;
  const std::int64_t count = std::min(plan.block_rows, p.batch * p.out_pixels() - first);
  const std::int64_t chunk = task % plan.column_chunks;
  const std::int64_t unit_begin = plan.units() * chunk / plan.column_chunks;
  const std::int64_t unit_end = plan.units() * (chunk + 1) / plan.column_chunks;
  auto** table = reinterpret_cast<const float**>(scratch);
  const auto* zeros = reinterpret_cast<const float*>(plan.zeros.get());
  if (plan.tap_rows) {
    auto* edges = reinterpret_cast<float*>(scratch + plan.table_bytes);
    point_to_tap_rows(p, run.in<float>(0), zeros, first, count, table, plan.block_rows, edges);
  } else {
    point_to_taps(p, run.in<float>(0), zeros, first, count, table, plan.block_rows);
  }
  const std::int64_t panels = plan.gemm.panels();
  for (std::int64_t unit = unit_begin; unit < unit_end;) {
    const std::int64_t group = unit / panels, begin = unit % panels;
    const std::int64_t end = std::min(panels, begin + unit_end - unit);
    const std::int64_t column = group * plan.gemm.n;
    GemmOutput output;
    output.c = run.out<float>(0) + first * p.out_step() + column;
    output.ldc = p.out_step();
    output.epilogue.activation = p.activation;
    output.epilogue.alpha = p.alpha;
    output.epilogue.beta = p.beta;
    if (run.has_in(2)) output.epilogue.bias = run.in<float>(2) + column;
    if (run.has_in(3)) {
      output.epilogue.residual = run.in<float>(3) + first * p.residual_step() + column;
      output.epilogue.residual_stride = p.residual_step();
    }
    const bool even = p.taps() == 1 && !p.padded() && p.stride == ConvProblem::Sizes{1, 1, 1};
    const GemmRows rows{table, plan.block_rows, group * plan.channels, count,
                        even ? p.in_step() : 0};
    run_block(plan.gemm, rows, packed + group * plan.gemm.packed_floats(), begin, end, output,
              scratch + plan.table_bytes + plan.edge_bytes);
    unit += end - begin;
  }
}

void run_plan(const Indirect& plan, const RunContext& run) {
  const int threads = std::min(plan.threads, run.threads);
  const auto* packed = reinterpret_cast<const float*>(plan.weights.get());
  if (packed == nullptr) {
    auto* fresh = reinterpret_cast<float*>(run.scratch);
    parallel_tasks(threads, plan.groups, [&](std::int64_t group, int) {
      pack_group(plan, run.in<float>(1), group, fresh);
    });
    packed = fresh;
  }
  parallel_tasks(threads, plan.row_blocks * plan.column_chunks, [&](std::int64_t task, int thread) {
    run_task(
        plan, run, packed,
        run.scratch + plan.weight_bytes + plan.thread_bytes() * static_cast<std::size_t>(thread),
        task);
  });
}

Step build(const ConvProblem& p, const LowerContext& c, Kind kind) {
  auto plan = std::make_shared<Indirect>(make_plan(p, c, kind));
  const std::int64_t floats = checked_multiply(plan->groups, plan->gemm.packed_floats());
  if (const Tensor* weights = c.content(1)) {
    const std::string key = "conv g" + std::to_string(plan->groups) + " " + plan->gemm.key();
    plan->weights =
        c.cache().get(*weights, key, static_cast<std::size_t>(floats) * 4, [&](std::byte* to) {
          for (std::int64_t group = 0; group < plan->groups; ++group) {
            pack_group(*plan, weights->as<float>(), group, reinterpret_cast<float*>(to));
          }
        });
  } else {
    plan->weight_bytes = aligned_size(floats * 4);
  }
  // A group's offset is added to every pointer, so the zeros span all channels.
  plan->zeros = shared_zeros(aligned_size(std::max(p.channels, plan->gemm.k) * 4));
  plan->table_bytes =
      aligned_size(plan->block_rows * plan->gemm.taps * static_cast<std::int64_t>(sizeof(float*)));
  if (kind.tap_rows)
    plan->edge_bytes = aligned_size(plan->block_rows * plan->gemm.taps * plan->gemm.k * 4);
  plan->block_bytes = bf16x3_scratch(plan->gemm, plan->block_rows);

  Step step;
  step.scratch_bytes =
      plan->weight_bytes + plan->thread_bytes() * static_cast<std::size_t>(plan->threads);
  step.run = [plan](const RunContext& run) { run_plan(*plan, run); };
  return step;
}

// Each vector multiply-add takes half a cycle on two ports.
ConvOffer offer_cost(const ConvProblem& p, const LowerContext& c, Kind kind) {
  const Indirect plan = make_plan(p, c, kind);
  const double rows = static_cast<double>(p.batch * p.out_pixels());
  const auto groups = static_cast<double>(plan.groups);
  if (kind.bf16x3) {
    std::string reason = refuse_bf16x3(plan.gemm, c, p.batch * p.out_pixels());
    if (!reason.empty()) return ConvOffer::refuse(std::move(reason));
    if (c.content(1) == nullptr) return ConvOffer::refuse("the weights are not constant");
    const double compute = groups * bf16x3_cycles(plan.gemm, rows);
    return {std::max(compute, weight_cycles(p)), ""};
  }
  const double overhead = kTapOverhead * static_cast<double>(plan.gemm.taps * plan.gemm.panels());
  const double compute = groups * rows * (gemm_row_cost(plan.gemm) + overhead) / 2.0;
  return {std::max(compute, weight_cycles(p)), ""};
}

template <bool kBf16x3>
ConvOffer offer_pointwise(const ConvProblem& p, const LowerContext& c) {
  if (p.taps() != 1) return ConvOffer::refuse("the kernel is larger than 1 x 1");
  if (p.padded()) return ConvOffer::refuse("the input is padded");
  return offer_cost(p, c, {false, kBf16x3});
}

template <bool kBf16x3>
ConvOffer offer_direct(const ConvProblem& p, const LowerContext& c) {
  if (p.taps() == 1 && !p.padded()) return ConvOffer::refuse("the kernel is 1 x 1");
  return offer_cost(p, c, {false, kBf16x3});
}

template <bool kBf16x3>
ConvOffer offer_rows(const ConvProblem& p, const LowerContext& c) {
  if (p.group != 1) return ConvOffer::refuse("the convolution has groups");
  if (p.in_step() != p.channels) return ConvOffer::refuse("the input's pixels lie apart");
  if (p.kernel[2] == 1) return ConvOffer::refuse("the kernel is one pixel wide");
  if (p.dilation[2] != 1) return ConvOffer::refuse("the kernel is dilated along the width");
  // Longer rows gain nothing, and copies at the image's edge grow.
  if (p.kernel[2] * p.channels > 128)
    return ConvOffer::refuse("a row of the kernel is long enough by taps");
  return offer_cost(p, c, {true, kBf16x3});
}

std::string object_to_weights(const LowerContext& c) {
  return finite_for_bf16x3(*c.content(1), c.isa()) ? "" : "the weights are not all finite";
}

template <bool kTapRows, bool kBf16x3>
Step build_kind(const ConvProblem& p, const LowerContext& c) {
  return build(p, c, {kTapRows, kBf16x3});
}

}  // namespace

const ConvAlgorithm conv_pointwise = {
    .name = "pointwise", .offer = offer_pointwise<false>, .build = build_kind<false, false>};
const ConvAlgorithm conv_pointwise_bf16x3 = {.name = "pointwise bf16x3",
                                             .offer = offer_pointwise<true>,
                                             .build = build_kind<false, true>,
                                             .object = object_to_weights};

const ConvAlgorithm conv_direct = {
    .name = "direct", .offer = offer_direct<false>, .build = build_kind<false, false>};
const ConvAlgorithm conv_direct_bf16x3 = {.name = "direct bf16x3",
                                          .offer = offer_direct<true>,
                                          .build = build_kind<false, true>,
                                          .object = object_to_weights};

const ConvAlgorithm conv_rows = {
    .name = "direct by rows", .offer = offer_rows<false>, .build = build_kind<true, false>};
const ConvAlgorithm conv_rows_bf16x3 = {.name = "direct by rows bf16x3",
                                        .offer = offer_rows<true>,
                                        .build = build_kind<true, true>,
                                        .object = object_to_weights};

}  // namespace lanewise
