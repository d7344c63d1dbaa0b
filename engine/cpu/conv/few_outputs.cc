// Convolution with fewer outputs than a vector has lanes: the columns of the kernel are multiplied
// as outputs of their own, for every input pixel, and their products are then summed with the
// shifts that belong to them. The product is the indirect one of rows.h with a kernel one column
// wide.
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/conv/conv.h"
#include "engine/cpu/conv/rows.h"
#include "engine/cpu/gemm.h"
#include "engine/kernels/shift_sum/shift_sum.h"

namespace lanewise {
namespace {

// Input pixels of a block: whole lines, about so many, so that their products stay near.
constexpr std::int64_t kBlockPixels = 192;
constexpr double kTaskMultiplyAdds = 5e5;  // as in indirect.cc
// Cycles that a pixel and each of its columns take in the sums.
constexpr double kPixelCycles = 12.0, kColumnCycles = 1.5;

struct FewOutputs {
  ConvProblem p;
  ConvProblem columns;  // what is multiplied: an output for each column, at each input column
  GemmPlan gemm;
  const kernels::ShiftSumF32* kernel = nullptr;
  std::int64_t lines = 0;  // output lines of all images
  std::int64_t block_lines = 1, blocks = 0;
  int threads = 1;
  std::shared_ptr<const std::byte> weights, zeros;
  std::size_t table_bytes = 0, partial_bytes = 0;  // of each thread

  std::int64_t block_rows() const { return block_lines * p.in[2]; }
  std::int64_t partial_step() const { return round_up(gemm.n, gemm.kernel->lanes); }
};

FewOutputs make_plan(const ConvProblem& p, const LowerContext& c) {
  FewOutputs plan;
  plan.p = p;
  plan.columns = p;
  plan.columns.outputs = p.outputs * p.kernel[2];
  plan.columns.kernel[2] = plan.columns.dilation[2] = 1;
  plan.columns.pad[2] = plan.columns.pad_end[2] = 0;
  plan.columns.out[2] = p.in[2];
  plan.gemm = plan_gemm(c.isa(), plan.columns.outputs, plan.columns.taps(), p.channels);
  plan.kernel = &kernels::shift_sum_f32(c.isa());
  plan.lines = p.batch * p.out[0] * p.out[1];
  plan.threads = threads_worth(p.multiply_adds(), kTaskMultiplyAdds, c.threads());
  plan.block_lines = std::clamp<std::int64_t>(kBlockPixels / std::max<std::int64_t>(1, p.in[2]), 1,
                                              std::max<std::int64_t>(1, plan.lines));
  plan.blocks = divide_up(plan.lines, plan.block_lines);
  plan.table_bytes = aligned_size(plan.block_rows() * plan.gemm.taps *
                                  static_cast<std::int64_t>(sizeof(const float*)));
  plan.partial_bytes =
      aligned_size((plan.block_rows() * plan.partial_step() + plan.kernel->lanes) * 4);
  return plan;
}

// From [outputs][channels][taps][columns] to panels of columns x outputs.
void pack(const FewOutputs& plan, const float* weights, float* packed) {
  const std::int64_t width = plan.p.kernel[2], taps = plan.gemm.taps, k = plan.gemm.k;
  std::vector<float> columns(static_cast<std::size_t>(plan.gemm.n * k * taps));
  for (std::int64_t o = 0; o < plan.p.outputs; ++o) {
    for (std::int64_t i = 0; i < k * taps; ++i) {
      for (std::int64_t x = 0; x < width; ++x) {
        columns[static_cast<std::size_t>((x * plan.p.outputs + o) * k * taps + i)] =
            weights[(o * k * taps + i) * width + x];
      }
    }
  }
  pack_panels(plan.gemm, {columns.data(), 1, taps, k * taps}, 0, plan.gemm.panels(), packed);
}

void run_task(const FewOutputs& plan, const RunContext& run, std::byte* scratch,
              std::int64_t task) {
  const ConvProblem& p = plan.p;
  const std::int64_t first = task * plan.block_lines;
  const std::int64_t count = std::min(plan.block_lines, plan.lines - first);
  auto** table = reinterpret_cast<const float**>(scratch);
  auto* partial = reinterpret_cast<float*>(scratch + plan.table_bytes);
  point_to_taps(plan.columns, run.in<float>(0), reinterpret_cast<const float*>(plan.zeros.get()),
                first * p.in[2], count * p.in[2], table, plan.block_rows());
  GemmOutput output;
  output.c = partial;
  output.ldc = plan.partial_step();
  run_block(plan.gemm, {table, plan.block_rows(), 0, count * p.in[2]},
            reinterpret_cast<const float*>(plan.weights.get()), 0, plan.gemm.panels(), output);
  kernels::ShiftSum sum;
  sum.partial_step = plan.partial_step();
  sum.in_width = p.in[2];
  sum.taps = p.kernel[2];
  sum.dilation = p.dilation[2];
  sum.pad = p.pad[2];
  sum.outputs = static_cast<int>(p.outputs);
  sum.out_width = p.out[2];
  sum.epilogue.activation = p.activation;
  sum.epilogue.alpha = p.alpha;
  sum.epilogue.beta = p.beta;
  if (run.has_in(2)) sum.epilogue.bias = run.in<float>(2);
  for (std::int64_t line = 0; line < count; ++line) {
    const std::int64_t at = (first + line) * p.out[2] * p.outputs;
    sum.partial = partial + line * p.in[2] * plan.partial_step();
    sum.out = run.out<float>(0) + at;
    if (run.has_in(3)) {
      sum.epilogue.residual = run.in<float>(3) + (first + line) * p.out[2] * p.residual_step();
      sum.epilogue.residual_stride = p.residual_step();
    }
    plan.kernel->row(sum);
  }
}

ConvOffer offer(const ConvProblem& p, const LowerContext& c) {
  if (p.group != 1) return ConvOffer::refuse("the convolution has groups");
  if (p.out_step() != p.outputs) return ConvOffer::refuse("the output's pixels lie apart");
  if (p.kernel[2] == 1) return ConvOffer::refuse("the kernel is one pixel wide");
  if (p.stride[2] != 1) return ConvOffer::refuse("the stride along the width is not 1");
  if (p.outputs > kernels::shift_sum_f32(c.isa()).lanes)
    return ConvOffer::refuse("the outputs fill a vector");
  if (c.numerics() == Numerics::kStrict)
    return ConvOffer::refuse("strict numerics keep the order of direct convolution");
  if (c.content(1) == nullptr) return ConvOffer::refuse("the weights are not constant");
  const FewOutputs plan = make_plan(p, c);
  const double pixels = static_cast<double>(plan.lines * p.in[2]);
  const double overhead = kTapOverhead * static_cast<double>(plan.gemm.taps * plan.gemm.panels());
  const double sums = static_cast<double>(plan.lines * p.out[2]) *
                      (kPixelCycles + kColumnCycles * static_cast<double>(p.kernel[2]));
  return {pixels * (gemm_row_cost(plan.gemm) + overhead) / 2.0 + sums, ""};
}

Step build(const ConvProblem& p, const LowerContext& c) {
  auto plan = std::make_shared<FewOutputs>(make_plan(p, c));
  const Tensor& weights = *c.content(1);
  plan->weights = c.cache().get(
      weights, "columns " + std::to_string(p.kernel[2]) + ' ' + plan->gemm.key(),
      static_cast<std::size_t>(checked_multiply(plan->gemm.packed_floats(), 4)),
      [&](std::byte* to) { pack(*plan, weights.as<float>(), reinterpret_cast<float*>(to)); });
  plan->zeros = shared_zeros(aligned_size(p.channels * 4));
  const std::size_t each = plan->table_bytes + plan->partial_bytes;
  Step step;
  step.scratch_bytes = each * static_cast<std::size_t>(plan->threads);
  step.run = [plan, each](const RunContext& run) {
    parallel_tasks(
        std::min(plan->threads, run.threads), plan->blocks, [&](std::int64_t task, int thread) {
          run_task(*plan, run, run.scratch + each * static_cast<std::size_t>(thread), task);
        });
  };
  return step;
}

}  // namespace

const ConvAlgorithm conv_few_outputs = {.name = "few outputs", .offer = offer, .build = build};

}  // namespace lanewise
