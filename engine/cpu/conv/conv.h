// Convolution on the CPU: the problem in numbers, and the list of algorithms that compete for it.
// Attributes are read in engine/ops/conv.cc; each algorithm has a file of its own here.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "engine/graph/op.h"
#include "engine/kernels/epilogue.h"

namespace lanewise {

// Spatial sizes are depth, height, width; a missing leading axis has size one. Activations lie
// channels-last, [batch][in...][channels]; weights as in ONNX, [outputs][channels /
// group][kernel...].
struct ConvProblem {
  using Sizes = std::array<std::int64_t, 3>;

  std::int64_t batch = 0, channels = 0, outputs = 0, group = 1;
  Sizes in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  Sizes pad{0, 0, 0}, pad_end{0, 0, 0};
  // Elements between pixels where the activations lie inside others; 0 means densely.
  std::int64_t in_pitch = 0, out_pitch = 0, residual_pitch = 0;
  kernels::Activation activation = kernels::Activation::kNone;
  float alpha = 0.0f, beta = 0.0f;

  std::int64_t group_channels() const { return channels / group; }
  std::int64_t group_outputs() const { return outputs / group; }
  std::int64_t in_step() const { return in_pitch != 0 ? in_pitch : channels; }
  std::int64_t out_step() const { return out_pitch != 0 ? out_pitch : outputs; }
  std::int64_t residual_step() const { return residual_pitch != 0 ? residual_pitch : outputs; }
  std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  std::int64_t in_pixels() const { return in[0] * in[1] * in[2]; }
  std::int64_t out_pixels() const { return out[0] * out[1] * out[2]; }
  bool padded() const;
  double multiply_adds() const;
};

// What an algorithm says of a problem: a cost, or why it cannot or should not run.
struct ConvOffer {
  double cost = 0.0;    // cycles of one core, roughly
  std::string refusal;  // empty: it can run

  static ConvOffer refuse(std::string reason) { return {0.0, std::move(reason)}; }
};

// Inputs of the step that `build` makes: 0 activations, 1 weights, 2 bias or null, 3 residual or
// null; all channels-last but for the weights. Only float32 reaches an algorithm of this list.
struct ConvAlgorithm {
  std::string_view name;
  ConvOffer (*offer)(const ConvProblem&, const LowerContext&);
  Step (*build)(const ConvProblem&, const LowerContext&);
  // A last reason against it, or "": asked of the cheapest alone, as it takes a look at the
  // weights.
  std::string (*object)(const LowerContext&) = nullptr;
};

// The algorithm that c.force() names where it accepts, else the cheapest that does; Step::refused
// tells of the others. Converts layouts around it when the planner left the activations row-major.
Step lower_conv(const ConvProblem& problem, const LowerContext& c);

// The plain loops for any float type and layout.
Step lower_conv_generic(const ConvProblem& problem, const LowerContext& c);

// Around a step over channels-last activations: copies in scratch memory of those of its `inputs`,
// and of its output, that lie row-major.
Step with_channels_last(Step inner, const LowerContext& c, std::initializer_list<int> inputs);

// Cycles that reading the weights from memory takes at the least.
double weight_cycles(const ConvProblem& problem);

extern const ConvAlgorithm conv_pointwise, conv_direct, conv_rows, conv_depthwise, conv_grouped;
extern const ConvAlgorithm conv_pointwise_bf16x3, conv_direct_bf16x3, conv_rows_bf16x3;
extern const ConvAlgorithm conv_winograd2, conv_winograd4, conv_few_outputs;

}  // namespace lanewise
