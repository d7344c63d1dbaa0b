// QLinearConv and ConvInteger: schemas and shape rules. What runs is int_conv.
#include "engine/cpu/int_pack.h"
#include "engine/graph/op.h"
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
  const Shape out = checked_shape(c, kQLinear);
  const std::int64_t outputs = out[1];
  expect_scale(c, kQLinear.x_scale);
  expect_scale(c, kQLinear.w_scale, outputs);
  expect_scale(c, kQLinear.y_scale);
  expect_bytes(c, kQLinear.y_zero);
  expect_zero(c, kQLinear.y_zero, c.dtype(kQLinear.y_zero));
  if (c.has_input(kQLinear.bias)) {
    c.expect_dtype(kQLinear.bias, {DType::kInt32});
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

double conv_flops(const OpContext& c, std::span<const ValueInfo> outputs, int weights) {
  const Shape& w = c.shape(weights);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(w.elements(1, w.rank()));
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

constexpr OpDef kOps[] = {
    {.name = "QLinearConv",
     .doc = "Convolution of quantised values, sums exact in int32.",
     .min_inputs = 8,
     .max_inputs = 9,
     .attributes = kAttrs,
     .infer = infer_qlinear_conv,
     .lower = [](LowerContext& c) { return lower_int_conv(c, kQLinear); },
     .layout = LayoutRule::kChannels,
     .flops =
         [](const OpContext& c, std::span<const ValueInfo> outputs) {
           return conv_flops(c, outputs, kQLinear.w);
         }},
    {.name = "ConvInteger",
     .doc = "Convolution of integers with int32 sums as the result.",
     .min_inputs = 2,
     .max_inputs = 4,
     .attributes = kAttrs,
     .infer = infer_conv_integer,
     .lower = [](LowerContext& c) { return lower_int_conv(c, kInteger); },
     .flops =
         [](const OpContext& c, std::span<const ValueInfo> outputs) {
           return conv_flops(c, outputs, kInteger.w);
         }},
};

}  // namespace

extern const OpTable qlinear_conv_ops;
const OpTable qlinear_conv_ops = {kOps};

}  // namespace lanewise
