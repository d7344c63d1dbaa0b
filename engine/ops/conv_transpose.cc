// ConvTranspose, and lanewise:FusedConvTranspose, which applies an activation: the shape rule. The
// algorithms are in engine/cpu/conv.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/conv/transposed.h"
#include "engine/graph/op.h"
#include "engine/ops/conv_problem.h"
#include "engine/ops/fused.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

// Output size and padding along one axis. An output larger than what the kernel reaches has no
// negative padding: the rest follows at its end and holds the bias alone.
void resolve_axis(const OpContext& c, const std::string& mode, std::int64_t wanted,
                  std::int64_t added, std::size_t i, Window& w) {
  const std::int64_t in = c.shape(0)[static_cast<int>(i) + 2];
  const std::int64_t full =
      in == 0 ? 0 : checked_multiply(in - 1, w.stride[i]) + w.extent(static_cast<int>(i)) + added;
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (wanted < 0 && !same) {
    w.out[i] = in == 0 ? 0 : full - w.pad_begin[i] - w.pad_end[i];
    if (in != 0 && w.out[i] < 1) {
      c.fail("pads leave nothing of the output along spatial axis " + std::to_string(i) +
             " for an input of shape " + c.shape(0).str());
    }
    return;
  }
  w.out[i] = wanted >= 0 ? wanted : checked_multiply(in, w.stride[i]);
  const std::int64_t total = std::max<std::int64_t>(0, full - w.out[i]);
  w.pad_begin[i] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
  w.pad_end[i] = total - w.pad_begin[i];
}

}  // namespace

Window transposed_window(const OpContext& c) {
  Window w;
  w.kernel = weight_kernel(c);
  const int rank = w.rank();
  w.stride = window_ints(c, "strides", rank, 1, 1);
  w.dilation = window_ints(c, "dilations", rank, 1, 1);
  const std::vector<std::int64_t> added = window_ints(c, "output_padding", rank, 0, 0);
  const std::vector<std::int64_t> wanted = window_ints(c, "output_shape", rank, 0, -1);
  const std::string mode(c.attr_string("auto_pad"));
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    c.fail("attribute 'auto_pad' is '" + mode +
           "', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  }
  std::vector<std::int64_t> pads(static_cast<std::size_t>(2 * rank), 0);
  if (mode == "NOTSET") pads = window_ints(c, "pads", 2 * rank, 0, 0);
  w.pad_begin.assign(pads.begin(), pads.begin() + rank);
  w.pad_end.assign(pads.begin() + rank, pads.end());
  w.out.assign(static_cast<std::size_t>(rank), 0);
  for (std::size_t i = 0; i < w.out.size(); ++i) {
    if (added[i] >= std::max(w.stride[i], w.dilation[i])) {
      c.fail("attribute 'output_padding' is " + Shape(added).str() +
             ", expected values below the stride or the dilation of their axis");
    }
    resolve_axis(c, mode, wanted[i], added[i], i, w);
  }
  return w;
}

namespace {

void infer_conv_transpose(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_same_dtype(0, 1);
  check_activation(c);
  const Window window = transposed_window(c);
  const Shape &x = c.shape(0), &w = c.shape(1);
  const std::int64_t group = c.attr_int("group");
  if (w[0] != x[1]) {
    c.fail("the weights (input 1) of shape " + w.str() + " are for " + std::to_string(w[0]) +
           " channels, but input 0 has shape " + x.str());
  }
  if (group < 1 || x[1] % group != 0) {
    c.fail("attribute 'group' is " + std::to_string(group) + ", expected a divisor of the " +
           std::to_string(x[1]) + " channels of input 0");
  }
  const std::int64_t outputs = checked_multiply(w[1], group);
  if (c.has_input(2)) {
    c.expect_same_dtype(0, 2);
    if (c.shape(2) != Shape{outputs}) {
      c.fail("the bias (input 2) has shape " + c.shape(2).str() + ", expected " +
             Shape{outputs}.str());
    }
  }
  const Shape out = window_output(c, window, outputs);
  out.elements();  // overflow
  c.set_output(0, c.dtype(0), out);
}

Pitched pitched(const Node&) { return {.inputs = 0, .output = true}; }

Step lower(LowerContext& c) {
  ConvProblem p = conv_problem(c, transposed_window(c));
  const kernels::ActivationCall activation = fused_activation(c);
  p.activation = activation.function;
  p.alpha = activation.alpha;
  p.beta = activation.beta;
  p.out_pitch = c.output(0).embedding.pitch;
  return lower_conv_transposed(p, c);
}

double conv_transpose_flops(const OpContext& c, std::span<const ValueInfo>) {
  const Shape& w = c.shape(1);
  return 2.0 * static_cast<double>(c.shape(0).elements()) *
         static_cast<double>(w.elements(1, w.rank()));
}

constexpr AttrDef kAttrs[] = {
    {.name = "auto_pad",
     .type = AttrType::kString,
     .doc = "NOTSET, SAME_UPPER, SAME_LOWER or VALID",
     .string_default = "NOTSET"},
    {.name = "dilations",
     .type = AttrType::kInts,
     .doc = "distance of taps per axis, 1 unless given"},
    {.name = "group", .type = AttrType::kInt, .doc = "channel groups", .int_default = 1},
    {.name = "kernel_shape", .type = AttrType::kInts, .doc = "that of the weights unless given"},
    {.name = "output_padding",
     .type = AttrType::kInts,
     .doc = "added to the output's end per axis"},
    {.name = "output_shape",
     .type = AttrType::kInts,
     .doc = "the output's spatial size; pads follow from it"},
    {.name = "pads",
     .type = AttrType::kInts,
     .doc = "cut from the output: all begins, then all ends"},
    {.name = "strides", .type = AttrType::kInts, .doc = "step per axis, 1 unless given"}};
constexpr auto kFusedAttrs = with_activation_attrs(kAttrs);

constexpr OpDef kOps[] = {
    {.name = "ConvTranspose",
     .doc =
         "Transposed convolution, the gradient of a convolution by its input (Zeiler et al. 2010).",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kAttrs,
     .infer = infer_conv_transpose,
     .lower = lower,
     .layout = LayoutRule::kChannels,
     .pitched = pitched,
     .flops = conv_transpose_flops},
    {.domain = "lanewise",
     .name = "FusedConvTranspose",
     .doc = "activation(ConvTranspose(X, W, B)).",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kFusedAttrs,
     .infer = infer_conv_transpose,
     .lower = lower,
     .layout = LayoutRule::kChannels,
     .pitched = pitched,
     .flops = conv_transpose_flops},
};

}  // namespace

extern const OpTable conv_transpose_ops;
const OpTable conv_transpose_ops = {kOps};

}  // namespace lanewise
