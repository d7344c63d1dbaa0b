// QLinearConv and ConvInteger: schemas and shape rules. What runs is int_conv.
#include "engine/cpu/quant_parameters.h"
#include "engine/graph/op.h"
#include "engine/ops/fused.h"
#include "engine/ops/int_conv.h"

namespace lanewise {
namespace {

constexpr IntConvInputs kQLinear = {.x = 0,
                                    .x_zero = 2,
                                    .w = 3,
                                    .w_zero = 5,
                                    .x_scale = 1,
                                    .w_scale = 4,
                                    .y_scale = 6,
                                    .y_zero = 7,
                                    .bias = 8};
constexpr IntConvInputs kFused = [] {
  IntConvInputs in = kQLinear;
  in.clamped = true;
  return in;
}();
constexpr IntConvInputs kInteger = {.x = 0, .x_zero = 2, .w = 1, .w_zero = 3};

// Checks what both have and gives the output's shape.
Shape checked_shape(const OpContext& c, const IntConvInputs& in) {
  expect_bytes(c, in.x);
  expect_bytes(c, in.w);
  const Window window = int_conv_window(c, in);
  const std::int64_t outputs = c.shape(in.w)[0];
  expect_zero(c, in.x_zero, c.dtype(in.x));
  expect_zero(c, in.w_zero, c.dtype(in.w), outputs);
  return window_output(c, window, outputs);
}

void infer_qlinear_conv(InferContext& c) {
  if (c.node().op->domain == "lanewise") check_byte_clamp(c);
  const Shape out = checked_shape(c, kQLinear);
  const std::int64_t outputs = out[1];
  expect_scale(c, kQLinear.x_scale);
  expect_scale(c, kQLinear.w_scale, outputs);
  expect_scale(c, kQLinear.y_scale);
  expect_bytes(c, kQLinear.y_zero);
  expect_zero(c, kQLinear.y_zero, c.dtype(kQLinear.y_zero));
  if (c.has_input(kQLinear.bias)) {
    // In the fused form, a real bias is added before the result is quantised.
    if (c.node().op->domain == "lanewise") {
      c.expect_dtype(kQLinear.bias, {DType::kInt32, DType::kFloat32});
    } else {
      c.expect_dtype(kQLinear.bias, {DType::kInt32});
    }
    if (c.shape(kQLinear.bias) != Shape{outputs}) {
      c.fail("the bias must have shape " + Shape{outputs}.str() + ", found " +
             c.shape(kQLinear.bias).str());
    }
  }
  c.set_output(0, c.dtype(kQLinear.y_zero), out);
}

void infer_conv_integer(InferContext& c) {
  c.set_output(0, DType::kInt32, checked_shape(c, kInteger));
}

constexpr AttrDef kAttrs[] = {
    {.name = "auto_pad",
     .type = AttrType::kString,
     .doc = "NOTSET, VALID, SAME_UPPER or SAME_LOWER",
     .string_default = "NOTSET"},
    {.name = "dilations", .type = AttrType::kInts, .doc = "1 along each axis if absent"},
    {.name = "group", .type = AttrType::kInt, .doc = "groups of channels", .int_default = 1},
    {.name = "kernel_shape",
     .type = AttrType::kInts,
     .doc = "optional; the weights' shape says it too"},
    {.name = "pads", .type = AttrType::kInts, .doc = "begins, then ends; 0 if absent"},
    {.name = "strides", .type = AttrType::kInts, .doc = "1 along each axis if absent"},
};

constexpr auto kFusedAttrs = with_byte_clamp(kAttrs);

template <const IntConvInputs& in>
double flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const Shape& w = c.shape(in.w);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(w.elements(1, w.rank()));
}

template <const IntConvInputs& in>
Step lower(LowerContext& c) {
  return lower_int_conv(c, in);
}

constexpr OpDef kOps[] = {
    {.name = "QLinearConv",
     .doc = "Convolution of quantised values, sums exact in int32.",
     .min_inputs = 8,
     .max_inputs = 9,
     .attributes = kAttrs,
     .infer = infer_qlinear_conv,
     .lower = lower<kQLinear>,
     .layout = LayoutRule::kChannels,
     .flops = flops<kQLinear>},
    {.domain = "lanewise",
     .name = "FusedQLinearConv",
     .doc = "QLinearConv with a real bias, or an activation that bounds its result.",
     .min_inputs = 8,
     .max_inputs = 9,
     .attributes = kFusedAttrs,
     .infer = infer_qlinear_conv,
     .lower = lower<kFused>,
     .layout = LayoutRule::kChannels,
     .flops = flops<kFused>},
    {.name = "ConvInteger",
     .doc = "Convolution of integers with int32 sums as the result.",
     .min_inputs = 2,
     .max_inputs = 4,
     .attributes = kAttrs,
     .infer = infer_conv_integer,
     .lower = lower<kInteger>,
     .flops = flops<kInteger>},
};

}  // namespace

extern const OpTable qlinear_conv_ops;
const OpTable qlinear_conv_ops = {kOps};

}  // namespace lanewise
