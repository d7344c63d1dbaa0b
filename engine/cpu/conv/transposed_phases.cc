// Transposed convolution by phases (Shi et al. 2016, "Is the deconvolution layer the same as a
// convolutional layer?"): outputs whose positions leave the same remainder by the stride read the
// same taps, so each phase is a convolution of stride 1 with a part of the kernel: a matrix product
// whose rows are found through pointers.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/cpu/conv/rows.h"
#include "engine/cpu/conv/transposed.h"
#include "engine/cpu/gemm.h"
#include "engine/kernels/moments/moments.h"

namespace lanewise {
namespace {

constexpr double kRowCycles = 60.0;              // to find a row's inputs and copy it to its place
constexpr std::int64_t kBlockRows = 192;         // enough tiles to reuse a panel from the caches
constexpr std::int64_t kTableEntries = 1 << 15;  // pointers of a block
constexpr double kMostPhaseTaps = 1 << 22;       // beyond, planning would take longer than running

struct Tap {
  ConvProblem::Sizes shift;  // input position minus the output's number within its phase
  std::int64_t index;        // in the kernel
};

struct Phase {
  ConvProblem::Sizes first;  // output position of number 0
  ConvProblem::Sizes count;  // outputs along each axis
  std::vector<Tap> taps;
  GemmPlan gemm;  // of one group
  std::int64_t block_rows = 0, blocks = 0, packed_at = 0;

  std::int64_t pixels() const { return count[0] * count[1] * count[2]; }
};

struct Transposed {
  ConvProblem p;
  const kernels::ScaleShiftF32* scaling = nullptr;  // applies activations alone
  std::vector<Phase> phases;
  std::int64_t tasks = 0, table_entries = 1, block_floats = 0, packed_floats = 0, dense_floats = 0;
  std::shared_ptr<const std::byte> weights;  // packed while planning, or null
  std::shared_ptr<const std::byte> zeros;
  std::size_t table_at = 0, blocks_at = 0;  // in scratch, after weights packed at run time
};

Phase make_phase(const ConvProblem& p, const ConvProblem::Sizes& first, Isa isa) {
  Phase phase;
  phase.first = first;
  for (std::size_t i = 0; i < 3; ++i) {
    phase.count[i] = p.out[i] <= first[i] ? 0 : (p.out[i] - first[i] - 1) / p.stride[i] + 1;
  }
  ConvProblem::Sizes k{};
  for (std::int64_t index = 0; index < p.taps(); ++index) {
    k = {index / (p.kernel[1] * p.kernel[2]), index / p.kernel[2] % p.kernel[1],
         index % p.kernel[2]};
    Tap tap{{}, index};
    bool hits = true;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::int64_t distance = first[i] + p.pad[i] - k[i] * p.dilation[i];
      hits = hits && distance % p.stride[i] == 0;
      tap.shift[i] = distance / p.stride[i];
    }
    if (hits) phase.taps.push_back(tap);
  }
  if (phase.taps.empty() || phase.pixels() == 0) return phase;
  phase.gemm = plan_gemm(isa, p.group_outputs(), static_cast<std::int64_t>(phase.taps.size()),
                         p.group_channels());
  const std::int64_t tile = phase.gemm.tile_rows();
  const std::int64_t most = std::max(tile, std::min(kBlockRows, kTableEntries / phase.gemm.taps));
  phase.block_rows = most / tile * tile;
  phase.blocks =
      (checked_multiply(p.batch, phase.pixels()) + phase.block_rows - 1) / phase.block_rows;
  return phase;
}

// Weights of all groups of a phase; `dense` has room for those of one group.
void pack_phase(const ConvProblem& p, const Phase& phase, const float* weights, float* dense,
                float* packed) {
  const std::int64_t k = p.group_channels(), n = p.group_outputs(), taps = p.taps();
  for (std::int64_t group = 0; group < p.group; ++group) {
    const float* from = weights + group * k * n * taps;
    float* to = dense;
    for (const Tap& tap : phase.taps) {
      for (std::int64_t i = 0; i < k * n; ++i) *to++ = from[i * taps + tap.index];
    }
    pack_panels(phase.gemm, {dense, k * n, n, 1}, 0, phase.gemm.panels(),
                packed + phase.packed_at + group * phase.gemm.packed_floats());
  }
}

// Image and position within the phase of a row of its matrix product.
struct Place {
  std::int64_t image;
  ConvProblem::Sizes at;
};
Place place_of(const Phase& phase, std::int64_t row) {
  Place place{};
  for (std::size_t i = 3; i-- > 0;) {
    place.at[i] = row % phase.count[i];
    row /= phase.count[i];
  }
  place.image = row;
  return place;
}

void fill_table(const ConvProblem& p, const Phase& phase, const float* x, const float* zeros,
                std::int64_t first, std::int64_t count, const float** table) {
  for (std::int64_t r = 0; r < count; ++r) {
    const Place place = place_of(phase, first + r);
    const float** entry = table + r;
    for (const Tap& tap : phase.taps) {
      std::int64_t pixel = place.image;
      bool inside = true;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::int64_t position = place.at[i] + tap.shift[i];
        inside = inside && position >= 0 && position < p.in[i];
        pixel = pixel * p.in[i] + position;
      }
      *entry = inside ? x + pixel * p.channels : zeros;
      entry += phase.block_rows;
    }
  }
}

// One block of rows: the product in scratch memory, its rows copied to their places.
void run_block_of(const Transposed& plan, const Phase& phase, const RunContext& run,
                  const float* packed, std::int64_t block, const float** table, float* result) {
  const ConvProblem& p = plan.p;
  const std::int64_t first = block * phase.block_rows;
  const std::int64_t count = std::min(phase.block_rows, p.batch * phase.pixels() - first);
  fill_table(p, phase, run.in<float>(0), reinterpret_cast<const float*>(plan.zeros.get()), first,
             count, table);
  for (std::int64_t group = 0; group < p.group; ++group) {
    const std::int64_t column = group * p.group_outputs();
    GemmOutput output;
    output.c = result + column;
    output.ldc = p.outputs;
    output.epilogue.activation = p.activation;
    output.epilogue.alpha = p.alpha;
    output.epilogue.beta = p.beta;
    if (run.has_in(2)) output.epilogue.bias = run.in<float>(2) + column;
    const GemmRows rows{table, phase.block_rows, group * p.group_channels(), count};
    run_block(phase.gemm, rows, packed + phase.packed_at + group * phase.gemm.packed_floats(), 0,
              phase.gemm.panels(), output);
  }
  float* y = run.out<float>(0);
  for (std::int64_t r = 0; r < count; ++r) {
    const Place place = place_of(phase, first + r);
    std::int64_t pixel = place.image;
    for (std::size_t i = 0; i < 3; ++i) {
      pixel = pixel * p.out[i] + place.at[i] * p.stride[i] + phase.first[i];
    }
    std::memcpy(y + pixel * p.out_step(), result + r * p.outputs,
                static_cast<std::size_t>(p.outputs) * sizeof(float));
  }
}

// Outputs that no tap reaches: the bias alone.
void fill_bias(const Transposed& plan, const Phase& phase, const RunContext& run) {
  const ConvProblem& p = plan.p;
  const float* bias = run.has_in(2) ? run.in<float>(2) : nullptr;
  for (std::int64_t r = 0; r < p.batch * phase.pixels(); ++r) {
    const Place place = place_of(phase, r);
    std::int64_t pixel = place.image;
    for (std::size_t i = 0; i < 3; ++i) {
      pixel = pixel * p.out[i] + place.at[i] * p.stride[i] + phase.first[i];
    }
    float* y = run.out<float>(0) + pixel * p.out_step();
    for (std::int64_t c = 0; c < p.outputs; ++c) y[c] = bias == nullptr ? 0.0f : bias[c];
    plan.scaling->uniform(y, p.outputs, 0.0f, 1.0f, 0.0f, {p.activation, p.alpha, p.beta}, y);
  }
}

void run_phases(const Transposed& plan, const RunContext& run) {
  const auto* packed = reinterpret_cast<const float*>(plan.weights.get());
  if (packed == nullptr) {
    auto* fresh = reinterpret_cast<float*>(run.scratch);
    for (const Phase& phase : plan.phases) {
      if (phase.blocks > 0)
        pack_phase(plan.p, phase, run.in<float>(1), fresh + plan.packed_floats, fresh);
    }
    packed = fresh;
  }
  parallel_tasks(run.threads, plan.tasks, [&](std::int64_t task, int thread) {
    auto** table =
        reinterpret_cast<const float**>(run.scratch + plan.table_at) + thread * plan.table_entries;
    float* result =
        reinterpret_cast<float*>(run.scratch + plan.blocks_at) + thread * plan.block_floats;
    std::size_t i = 0;
    while (task >= plan.phases[i].blocks) task -= plan.phases[i++].blocks;
    run_block_of(plan, plan.phases[i], run, packed, task, table, result);
  });
  for (const Phase& phase : plan.phases) {
    if (phase.taps.empty()) fill_bias(plan, phase, run);
  }
}

Transposed make_plan(const ConvProblem& p, const LowerContext& c) {
  Transposed plan;
  plan.p = p;
  plan.scaling = &kernels::scale_shift_f32(c.isa());
  // A stride beyond the output leaves phases without outputs.
  ConvProblem::Sizes steps{}, first{};
  for (std::size_t i = 0; i < 3; ++i) steps[i] = std::min(p.stride[i], p.out[i]);
  for (first[0] = 0; first[0] < steps[0]; ++first[0]) {
    for (first[1] = 0; first[1] < steps[1]; ++first[1]) {
      for (first[2] = 0; first[2] < steps[2]; ++first[2])
        plan.phases.push_back(make_phase(p, first, c.isa()));
    }
  }
  for (Phase& phase : plan.phases) {
    if (phase.blocks == 0) continue;
    phase.packed_at = plan.packed_floats;
    plan.packed_floats += checked_multiply(p.group, phase.gemm.packed_floats());
    plan.tasks += phase.blocks;
    plan.table_entries = std::max(plan.table_entries, phase.block_rows * phase.gemm.taps);
    plan.block_floats = std::max(plan.block_floats, phase.block_rows * p.outputs);
    plan.dense_floats =
        std::max(plan.dense_floats, phase.gemm.taps * p.group_channels() * p.group_outputs());
  }
  return plan;
}

std::string weights_key(const ConvProblem& p, const Transposed& plan) {
  std::string key = "transposed g" + std::to_string(p.group);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::int64_t value : {p.kernel[i], p.stride[i], p.dilation[i], p.pad[i]}) {
      key += ' ';
      key += std::to_string(value);
    }
  }
  for (const Phase& phase : plan.phases) {
    key += ' ';
    if (phase.blocks > 0) key += phase.gemm.key();
  }
  return key;
}

Step build(const ConvProblem& p, const LowerContext& c) {
  auto plan = std::make_shared<Transposed>(make_plan(p, c));
  std::int64_t run_time_floats = 0;
  if (const Tensor* weights = c.content(1)) {
    const auto bytes = static_cast<std::size_t>(checked_multiply(plan->packed_floats, 4));
    plan->weights = c.cache().get(*weights, weights_key(p, *plan), bytes, [&](std::byte* to) {
      std::vector<float> dense(static_cast<std::size_t>(plan->dense_floats));
      for (const Phase& phase : plan->phases) {
        if (phase.blocks == 0) continue;
        pack_phase(p, phase, weights->as<float>(), dense.data(), reinterpret_cast<float*>(to));
      }
    });
  } else {
    run_time_floats = plan->packed_floats + plan->dense_floats;
  }
  plan->zeros = shared_zeros(aligned_size(p.channels * 4));
  const std::int64_t threads = c.threads();
  plan->table_at = aligned_size(run_time_floats * 4);
  plan->blocks_at = plan->table_at + aligned_size(threads * plan->table_entries * 8);
  Step step;
  step.scratch_bytes =
      plan->blocks_at + aligned_size(checked_multiply(threads * plan->block_floats, 4));
  step.run = [plan](const RunContext& run) { run_phases(*plan, run); };
  return step;
}

ConvOffer offer(const ConvProblem& p, const LowerContext& c) {
  double phase_taps = 1.0;
  for (std::size_t i = 0; i < 3; ++i) {
    phase_taps *=
        static_cast<double>(std::min(p.stride[i], p.out[i])) * static_cast<double>(p.kernel[i]);
  }
  if (phase_taps > kMostPhaseTaps) {
    return ConvOffer::refuse("the strides and the kernel are too large");
  }
  double cost = 0.0;
  for (const Phase& phase : make_plan(p, c).phases) {
    if (phase.blocks == 0) continue;
    const double overhead =
        kTapOverhead * static_cast<double>(phase.gemm.taps * phase.gemm.panels());
    const double product = (gemm_row_cost(phase.gemm) + overhead) / 2.0;
    cost += static_cast<double>(p.batch * phase.pixels()) *
            (static_cast<double>(p.group) * product + kRowCycles);
  }
  return {cost, ""};
}

}  // namespace

const ConvAlgorithm transposed_phases = {.name = "phases", .offer = offer, .build = build};

}  // namespace lanewise
