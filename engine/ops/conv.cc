// Conv, and lanewise:FusedConv, which adds a residual and applies an activation. Algorithms are in
// engine/cpu/conv.
#include "engine/cpu/conv/conv.h"

#include "engine/graph/op.h"
#include "engine/ops/conv_problem.h"
#include "engine/ops/fused.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

void infer_conv(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_same_dtype(0, 1);
  const Window window = resolve_window(c, weight_kernel(c));
  const Shape &x = c.shape(0), &w = c.shape(1);
  const std::int64_t group = c.attr_int("group");
  if (group < 1 || w[0] % group != 0) {
    c.fail("attribute 'group' is " + std::to_string(group) + ", expected a divisor of the " +
           std::to_string(w[0]) + " filters of the weights (input 1) of shape " + w.str());
  }
  if (checked_multiply(w[1], group) != x[1]) {
    c.fail("the input of shape " + x.str() + " has " + std::to_string(x[1]) +
           " channels, expected " + std::to_string(w[1]) + " x group " + std::to_string(group) +
           " for weights of shape " + w.str());
  }
  const Shape out = window_output(c, window, w[0]);
  if (c.has_input(2)) {
    c.expect_same_dtype(0, 2);
    if (c.shape(2) != Shape{w[0]}) {
      c.fail("the bias (input 2) has shape " + c.shape(2).str() + ", expected " +
             Shape{w[0]}.str());
    }
  }
  if (c.has_input(3)) {
    c.expect_same_dtype(0, 3);
    if (c.shape(3) != out) {
      c.fail("the residual (input 3) has shape " + c.shape(3).str() + ", expected " + out.str());
    }
  }
  check_activation(c);
  out.elements();  // overflow
  c.set_output(0, c.dtype(0), out);
}

// Convolutions in groups are written for dense pixels.
Pitched pitched(const Node& node) {
  const auto* group = node.attribute<std::int64_t>("group");
  if (group != nullptr && *group != 1) return {};
  return {.inputs = 0b1001, .output = true};
}

Step lower(LowerContext& c) {
  ConvProblem p = conv_problem(c, resolve_window(c, weight_kernel(c)));
  p.in_pitch = c.input(0).embedding.pitch;
  p.out_pitch = c.output(0).embedding.pitch;
  if (c.has_input(3)) p.residual_pitch = c.input(3).embedding.pitch;
  const kernels::ActivationCall activation = fused_activation(c);
  p.activation = activation.function;
  p.alpha = activation.alpha;
  p.beta = activation.beta;
  return lower_conv(p, c);
}

double conv_flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const Shape& w = c.shape(1);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(w.elements(1, w.rank()));
}

constexpr AttrDef kConvAttrs[] = {
    {.name = "auto_pad",
     .type = AttrType::kString,
     .doc = "NOTSET (use pads), VALID, SAME_UPPER or SAME_LOWER",
     .string_default = "NOTSET"},
    {.name = "dilations", .type = AttrType::kInts, .doc = "per spatial axis, default 1"},
    {.name = "group", .type = AttrType::kInt, .doc = "channel groups", .int_default = 1},
    {.name = "kernel_shape", .type = AttrType::kInts, .doc = "default: that of the weights"},
    {.name = "pads", .type = AttrType::kInts, .doc = "begins, then ends; default 0"},
    {.name = "strides", .type = AttrType::kInts, .doc = "per spatial axis, default 1"}};
constexpr auto kFusedAttrs = with_activation_attrs(kConvAttrs);

constexpr OpDef kOps[] = {
    {.name = "Conv",
     .doc = "Convolution of a batch with filters (cross-correlation).",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kConvAttrs,
     .infer = infer_conv,
     .lower = lower,
     .layout = LayoutRule::kChannels,
     .pitched = pitched,
     .flops = conv_flops},
    {.domain = "lanewise",
     .name = "FusedConv",
     .doc = "activation(Conv(X, W, B) + R): a convolution with what follows it.",
     .min_inputs = 2,
     .max_inputs = 4,
     .attributes = kFusedAttrs,
     .infer = infer_conv,
     .lower = lower,
     .layout = LayoutRule::kChannels,
     .channels_inputs = 0b1001,
     .inplace = 0b1000,
     .pitched = pitched,
     .flops = conv_flops},
};

}  // namespace

extern const OpTable conv_ops;
const OpTable conv_ops = {kOps};

}  // namespace lanewise
