// Chooses a convolution's algorithm, and changes layouts around it where the planner did not.
#include <algorithm>
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

StridedCopy layout_copy(const Shape& shape, DType dtype, Layout from, Layout to, Isa isa) {
  const std::vector<std::int64_t> in = layout_strides(shape, from), out = layout_strides(shape, to);
  std::vector<CopyDim> dims;
  for (int i = 0; i < shape.rank(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    dims.push_back({shape[i], in[at], out[at]});
  }
  return StridedCopy(std::move(dims), dtype, isa);
}

using Offers = std::vector<std::pair<const ConvAlgorithm*, ConvOffer>>;

// The cheapest that neither refuses nor objects to the weights; ties go to the first.
const ConvAlgorithm* choose(Offers& offers, const LowerContext& c) {
  const auto cost = [](const auto& each) {
    return each.second.refusal.empty() ? each.second.cost : std::numeric_limits<double>::infinity();
  };
  while (true) {
    const auto best = std::min_element(
        offers.begin(), offers.end(),
        [&](const auto& one, const auto& other) { return cost(one) < cost(other); });
    if (best->first->object != nullptr) best->second.refusal = best->first->object(c);
    if (best->second.refusal.empty()) return best->first;
  }
}

}  // namespace

bool ConvProblem::padded() const {
  for (std::size_t i = 0; i < 3; ++i) {
    if (pad[i] != 0 || pad_end[i] != 0) return true;
  }
  return false;
}

Step with_channels_last(Step inner, const LowerContext& c, std::initializer_list<int> inputs) {
  constexpr Layout kLast = Layout::kChannelsLast;
  struct Operand {
    std::size_t index = 0, at = 0;
    StridedCopy copy;
  };
  std::size_t bytes = aligned_size(inner.scratch_bytes);
  const auto take = [&](const Shape& shape, DType dtype) {
    const std::size_t at = bytes;
    bytes += aligned_size(
        checked_multiply(shape.elements(), static_cast<std::int64_t>(dtype_size(dtype))));
    return at;
  };
  std::vector<Operand> in, out;
  for (const int i : inputs) {
    if (!c.has_input(i) || c.layout(i) == kLast || same_bytes(c.shape(i), c.layout(i), kLast))
      continue;
    in.push_back({static_cast<std::size_t>(i), take(c.shape(i), c.dtype(i)),
                  layout_copy(c.shape(i), c.dtype(i), c.layout(i), kLast, c.isa())});
  }
  const Shape& y = c.out_shape(0);
  const DType dtype = c.output(0).dtype;
  if (c.out_layout(0) != kLast && !same_bytes(y, c.out_layout(0), kLast)) {
    out.push_back({0, take(y, dtype), layout_copy(y, dtype, kLast, c.out_layout(0), c.isa())});
  }
  if (in.empty() && out.empty()) return inner;
  Step step = inner;
  step.scratch_bytes = bytes;
  step.run = [=, run_inner = std::move(inner.run)](const RunContext& run) {
    constexpr std::size_t kMost = 16;
    std::array<const void*, kMost> changed_in{};
    std::copy(run.inputs.begin(), run.inputs.end(), changed_in.begin());
    std::array<void*, 1> changed_out{run.outputs[0]};
    for (const Operand& operand : in) {
      operand.copy.run(run.inputs[operand.index], 0, run.scratch + operand.at, 0, run.threads);
      changed_in[operand.index] = run.scratch + operand.at;
    }
    for (const Operand& operand : out) changed_out[0] = run.scratch + operand.at;
    RunContext changed = run;
    changed.inputs = std::span(changed_in).first(run.inputs.size());
    changed.outputs = changed_out;
    run_inner(changed);
    for (const Operand& operand : out)
      operand.copy.run(run.scratch + operand.at, 0, run.outputs[0], 0, run.threads);
  };
  return step;
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
  Offers offers;
  ConvProblem asked = problem;
  // A sample's bits must not depend on how many others come with it: the choice does not look.
  if (c.numerics() == Numerics::kReproducible) asked.batch = 1;
  for (const ConvAlgorithm* algorithm : kAlgorithms) {
    ConvOffer offer = algorithm->offer(asked, c);
    // A forced algorithm is taken wherever it can run.
    if (c.force() == algorithm->name) offer.cost = -1.0;
    offers.emplace_back(algorithm, std::move(offer));
  }
  const ConvAlgorithm* best = choose(offers, c);
  Step step = with_channels_last(best->build(problem, c), c, {0, 3});
  step.algorithm = best->name;
  for (const auto& [algorithm, offer] : offers) {
    if (algorithm == best) continue;
    const bool slower = offer.refusal.empty();
    step.refused.push_back({std::string(algorithm->name), slower ? "slower here" : offer.refusal});
  }
  return step;
}

}  // namespace lanewise
