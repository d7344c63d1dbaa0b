// Chooses a convolution's algorithm, and changes layouts around it where the planner did not.
#include <array>
#include <limits>
#include <utility>

#include "engine/base/buffer.h"
#include "engine/cpu/conv/conv.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/layout.h"

namespace lanewise {
namespace {

// Ties go to the first.
constexpr const ConvAlgorithm* kAlgorithms[] = {
    &conv_depthwise, &conv_pointwise,        &conv_rows,        &conv_grouped,
    &conv_direct,    &conv_pointwise_bf16x3, &conv_rows_bf16x3, &conv_direct_bf16x3,
    &conv_winograd2, &conv_winograd4,        &conv_few_outputs};

// One core reads about this many bytes per cycle from memory.
constexpr double kBytesPerCycle = 4.0;

StridedCopy layout_copy(const Shape& shape, Layout from, Layout to, Isa isa) {
  const std::vector<std::int64_t> in = layout_strides(shape, from), out = layout_strides(shape, to);
  std::vector<CopyDim> dims;
  for (int i = 0; i < shape.rank(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    dims.push_back({shape[i], in[at], out[at]});
  }
  return StridedCopy(std::move(dims), DType::kFloat32, isa);
}

std::size_t aligned_bytes(const Shape& shape) {
  return aligned_size(checked_multiply(shape.elements(), 4));
}

// Around a step that wants channels-last: copies in scratch memory of what is row-major.
Step wrap_layouts(Step inner, const LowerContext& c) {
  constexpr Layout kLast = Layout::kChannelsLast;
  const bool has_residual = c.has_input(3);
  const bool in = c.layout(0) == kLast || same_bytes(c.shape(0), c.layout(0), kLast);
  const bool out = c.out_layout(0) == kLast || same_bytes(c.out_shape(0), c.out_layout(0), kLast);
  const bool residual =
      !has_residual || c.layout(3) == kLast || same_bytes(c.shape(3), c.layout(3), kLast);
  if (in && out && residual) return inner;
  const std::size_t x_at = aligned_size(inner.scratch_bytes);
  const std::size_t y_at = x_at + (in ? 0 : aligned_bytes(c.shape(0)));
  const std::size_t r_at = y_at + (out ? 0 : aligned_bytes(c.out_shape(0)));
  const std::size_t bytes = r_at + (residual ? 0 : aligned_bytes(c.out_shape(0)));
  const StridedCopy copy_x = layout_copy(c.shape(0), Layout::kPlain, kLast, c.isa());
  const StridedCopy copy_r = layout_copy(c.out_shape(0), Layout::kPlain, kLast, c.isa());
  const StridedCopy copy_y = layout_copy(c.out_shape(0), kLast, Layout::kPlain, c.isa());
  Step step = inner;
  step.scratch_bytes = bytes;
  step.run = [=, run_inner = std::move(inner.run)](const RunContext& run) {
    std::array<const void*, 4> inputs{};
    std::copy(run.inputs.begin(), run.inputs.end(), inputs.begin());
    std::array<void*, 1> outputs{run.outputs[0]};
    if (!in) {
      copy_x.run(run.inputs[0], 0, run.scratch + x_at, 0, run.threads);
      inputs[0] = run.scratch + x_at;
    }
    if (!residual) {
      copy_r.run(run.inputs[3], 0, run.scratch + r_at, 0, run.threads);
      inputs[3] = run.scratch + r_at;
    }
    if (!out) outputs[0] = run.scratch + y_at;
    RunContext changed = run;
    changed.inputs = inputs;
    changed.outputs = outputs;
    run_inner(changed);
    if (!out) copy_y.run(run.scratch + y_at, 0, run.outputs[0], 0, run.threads);
  };
  return step;
}

}  // namespace

bool ConvProblem::padded() const {
  for (std::size_t i = 0; i < 3; ++i) {
    if (pad[i] != 0 || pad_end[i] != 0) return true;
  }
  return false;
}

double ConvProblem::multiply_adds() const {
  return static_cast<double>(batch * out_pixels()) * static_cast<double>(outputs) *
         static_cast<double>(group_channels() * taps());
}

double weight_cycles(const ConvProblem& p) {
  const double weights =
      static_cast<double>(p.outputs) * static_cast<double>(p.group_channels() * p.taps());
  return weights * 4.0 / kBytesPerCycle;
}

Step lower_conv(const ConvProblem& problem, const LowerContext& c) {
  if (c.out_shape(0).elements() == 0) {
    Step nothing;
    nothing.algorithm = "empty";
    nothing.run = [](const RunContext&) {};
    return nothing;
  }
  const bool fused = problem.activation != kernels::Activation::kNone || c.has_input(3);
  if (c.dtype(0) != DType::kFloat32 || (c.force() == "generic" && !fused)) {
    return lower_conv_generic(problem, c);
  }
  const ConvAlgorithm* best = nullptr;
  double best_cost = std::numeric_limits<double>::infinity();
  std::vector<std::pair<const ConvAlgorithm*, ConvOffer>> offers;
  ConvProblem asked = problem;
  // A sample's bits must not depend on how many others come with it: the choice does not look.
  if (c.numerics() == Numerics::kReproducible) asked.batch = 1;
  for (const ConvAlgorithm* algorithm : kAlgorithms) {
    ConvOffer offer = algorithm->offer(asked, c);
    // A forced algorithm is taken wherever it can run.
    if (c.force() == algorithm->name) offer.cost = -1.0;
    if (offer.refusal.empty() && offer.cost < best_cost) {
      best = algorithm;
      best_cost = offer.cost;
    }
    offers.emplace_back(algorithm, std::move(offer));
  }
  Step step = wrap_layouts(best->build(problem, c), c);
  step.algorithm = best->name;
  for (const auto& [algorithm, offer] : offers) {
    if (algorithm == best) continue;
    const bool slower = offer.refusal.empty();
    step.refused.push_back({std::string(algorithm->name), slower ? "slower here" : offer.refusal});
  }
  return step;
}

}  // namespace lanewise
