// Transposed convolution with fewer outputs than a vector has lanes: the taps of the kernel are
// multiplied as outputs of their own, for every input pixel, and their products are then summed
// where they fall.
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/conv/rows.h"
#include "engine/cpu/conv/transposed.h"
#include "engine/cpu/gemm.h"
#include "engine/kernels/shift_sum/shift_sum.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockBytes = 1 << 18;  // of products, which stay in a core's own cache
// Cycles that a pixel and each of its taps take in the sums.
constexpr double kPixelCycles = 12.0, kTapCycles = 1.5;

// Planes of one depth each; `height` and `width` are axes 1 and 2 of the problem.
struct TapProducts {
  ConvProblem p;
  GemmPlan gemm;  // an output for each tap and output channel
  const kernels::StrideSumF32* kernel = nullptr;
  std::int64_t planes = 0;
  std::int64_t out_lines = 1, blocks = 0;  // output lines of a block, blocks of a plane
  std::int64_t in_lines = 1;               // that a block reads at the most
  std::shared_ptr<const std::byte> weights;
  std::size_t table_bytes = 0, line_bytes = 0, partial_bytes = 0;  // of each thread

  std::int64_t partial_step() const { return round_up(gemm.n, gemm.kernel->lanes); }
};

// Input lines below the one of an output line that its taps reach.
std::int64_t reach(const ConvProblem& p) {
  return ((p.kernel[1] - 1) * p.dilation[1] + p.stride[1] - 1) / p.stride[1];
}

TapProducts make_plan(const ConvProblem& p, const LowerContext& c) {
  TapProducts plan;
  plan.p = p;
  plan.gemm = plan_gemm(c.isa(), p.outputs * p.taps(), 1, p.channels);
  plan.kernel = &kernels::stride_sum_f32(c.isa());
  plan.planes = p.batch * p.in[0];
  const std::int64_t line_floats = std::max<std::int64_t>(1, p.in[2] * plan.partial_step());
  const std::int64_t lines = std::max(kBlockBytes / 4 / line_floats - reach(p), reach(p) / 2 + 1);
  plan.out_lines = std::min(checked_multiply(lines, p.stride[1]), p.out[1]);
  plan.blocks = divide_up(p.out[1], plan.out_lines);
  plan.in_lines = std::min((plan.out_lines - 1) / p.stride[1] + 1 + reach(p), p.in[1]);
  const auto pointer = static_cast<std::int64_t>(sizeof(const float*));
  plan.table_bytes = aligned_size(plan.in_lines * p.in[2] * pointer);
  plan.line_bytes = aligned_size(p.kernel[1] * pointer);
  plan.partial_bytes = aligned_size((plan.in_lines * line_floats + plan.kernel->lanes) * 4);
  return plan;
}

// From [channels][outputs][taps] to panels of taps x outputs.
void pack(const TapProducts& plan, const float* weights, float* packed) {
  const std::int64_t taps = plan.p.taps(), outputs = plan.p.outputs, n = plan.gemm.n;
  std::vector<float> columns(static_cast<std::size_t>(plan.gemm.k * n));
  for (std::int64_t i = 0; i < plan.gemm.k; ++i) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t t = 0; t < taps; ++t) {
        columns[static_cast<std::size_t>(i * n + t * outputs + o)] =
            weights[(i * outputs + o) * taps + t];
      }
    }
  }
  pack_panels(plan.gemm, {columns.data(), 0, n, 1}, 0, plan.gemm.panels(), packed);
}

// Input lines [begin, end) of a plane that the output lines [first, last) read.
struct Lines {
  std::int64_t begin, end;
};
Lines lines_of(const ConvProblem& p, std::int64_t first, std::int64_t last) {
  const std::int64_t below = first + p.pad[1] - (p.kernel[1] - 1) * p.dilation[1];
  const std::int64_t begin = below <= 0 ? 0 : (below + p.stride[1] - 1) / p.stride[1];
  const std::int64_t end = (last - 1 + p.pad[1]) / p.stride[1] + 1;
  return {std::min(begin, p.in[1]), std::min(std::max(begin, end), p.in[1])};
}

void multiply(const TapProducts& plan, const float* x, std::int64_t pixels, const float** table,
              float* partial) {
  for (std::int64_t i = 0; i < pixels; ++i) table[i] = x + i * plan.p.channels;
  GemmOutput output;
  output.c = partial;
  output.ldc = plan.partial_step();
  run_block(plan.gemm, {table, pixels, 0, pixels, plan.p.channels},
            reinterpret_cast<const float*>(plan.weights.get()), 0, plan.gemm.panels(), output);
}

kernels::StrideSum sum_of(const TapProducts& plan, const RunContext& run) {
  const ConvProblem& p = plan.p;
  kernels::StrideSum sum;
  sum.partial_step = plan.partial_step();
  sum.in_width = p.in[2];
  sum.taps = p.kernel[2];
  sum.stride = p.stride[2];
  sum.dilation = p.dilation[2];
  sum.pad = p.pad[2];
  sum.outputs = static_cast<int>(p.outputs);
  sum.out_width = p.out[2];
  sum.epilogue.activation = p.activation;
  sum.epilogue.alpha = p.alpha;
  sum.epilogue.beta = p.beta;
  if (run.has_in(2)) sum.epilogue.bias = run.in<float>(2);
  return sum;
}

void run_task(const TapProducts& plan, const RunContext& run, std::byte* scratch,
              std::int64_t task) {
  const ConvProblem& p = plan.p;
  const std::int64_t plane = task / plan.blocks, first = task % plan.blocks * plan.out_lines;
  const std::int64_t last = std::min(first + plan.out_lines, p.out[1]);
  const Lines in = lines_of(p, first, last);
  auto** table = reinterpret_cast<const float**>(scratch);
  auto** lines = reinterpret_cast<const float**>(scratch + plan.table_bytes);
  auto* partial = reinterpret_cast<float*>(scratch + plan.table_bytes + plan.line_bytes);
  const std::int64_t line_floats = p.in[2] * plan.partial_step();
  if (in.end > in.begin) {
    multiply(plan, run.in<float>(0) + (plane * p.in[1] + in.begin) * p.in[2] * p.channels,
             (in.end - in.begin) * p.in[2], table, partial);
  }
  kernels::StrideSum sum = sum_of(plan, run);
  sum.partial = lines;
  for (std::int64_t y = first; y < last; ++y) {
    sum.lines = 0;
    for (std::int64_t k = 0; k < p.kernel[1]; ++k) {
      const std::int64_t distance = y + p.pad[1] - k * p.dilation[1];
      const std::int64_t line = distance / p.stride[1];
      if (distance < 0 || distance % p.stride[1] != 0 || line >= p.in[1]) continue;
      lines[sum.lines++] = partial + (line - in.begin) * line_floats + k * p.kernel[2] * p.outputs;
    }
    sum.out = run.out<float>(0) + (plane * p.out[1] + y) * p.out[2] * p.outputs;
    plan.kernel->row(sum);
  }
}

ConvOffer offer(const ConvProblem& p, const LowerContext& c) {
  if (p.group != 1) return ConvOffer::refuse("the convolution has groups");
  if (p.out_pitch != 0) return ConvOffer::refuse("the output lies inside another value");
  if (p.taps() == 1) return ConvOffer::refuse("the kernel is one pixel");
  if (p.kernel[0] != 1 || p.in[0] != p.out[0] || p.pad[0] != 0)
    return ConvOffer::refuse("the kernel has three axes");
  if (p.outputs > kernels::stride_sum_f32(c.isa()).lanes)
    return ConvOffer::refuse("the outputs fill a vector");
  if (c.numerics() == Numerics::kStrict)
    return ConvOffer::refuse("strict numerics keep the order of the definition");
  if (c.content(1) == nullptr) return ConvOffer::refuse("the weights are not constant");
  const TapProducts plan = make_plan(p, c);
  const double overhead = kTapOverhead * static_cast<double>(plan.gemm.panels());
  const double products = static_cast<double>(plan.planes * plan.blocks * plan.in_lines * p.in[2]) *
                          (gemm_row_cost(plan.gemm) + overhead) / 2.0;
  const double pixels = static_cast<double>(p.batch * p.out_pixels());
  const double summed = static_cast<double>(p.batch * p.in_pixels() * p.taps());
  return {products + pixels * kPixelCycles + summed * kTapCycles, ""};
}

Step build(const ConvProblem& p, const LowerContext& c) {
  auto plan = std::make_shared<TapProducts>(make_plan(p, c));
  const Tensor& weights = *c.content(1);
  plan->weights = c.cache().get(
      weights, "transposed taps " + std::to_string(p.taps()) + ' ' + plan->gemm.key(),
      static_cast<std::size_t>(checked_multiply(plan->gemm.packed_floats(), 4)),
      [&](std::byte* to) { pack(*plan, weights.as<float>(), reinterpret_cast<float*>(to)); });
  const std::size_t each = plan->table_bytes + plan->line_bytes + plan->partial_bytes;
  Step step;
  step.scratch_bytes = each * static_cast<std::size_t>(c.threads());
  step.run = [plan, each](const RunContext& run) {
    parallel_tasks(run.threads, plan->planes * plan->blocks, [&](std::int64_t task, int thread) {
      run_task(*plan, run, run.scratch + each * static_cast<std::size_t>(thread), task);
    });
  };
  return step;
}

}  // namespace

const ConvAlgorithm transposed_taps = {.name = "taps as outputs", .offer = offer, .build = build};

}  // namespace lanewise
