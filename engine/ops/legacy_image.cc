// Experimental operators of ONNX 1.0 to 1.4, which models of that time still carry: Affine,
// ImageScaler, Crop. They never had a later version.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

void infer_affine(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16});
  c.set_output(0, c.dtype(0), c.shape(0));
}

Step lower_affine(LowerContext& c) {
  Step step;
  step.algorithm = "element-wise";
  step.run = [elements = c.shape(0).elements(), dtype = c.dtype(0), alpha = c.attr_float("alpha"),
              beta = c.attr_float("beta")](const RunContext& run) {
    const auto apply = [&](auto type) {
      using T = typename decltype(type)::type;
      parallel_for(run.threads, elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
        const T* in = run.in<T>(0);
        T* out = run.out<T>(0);
        for (std::int64_t i = begin; i < end; ++i)
          out[i] = in[i] * static_cast<T>(alpha) + static_cast<T>(beta);
      });
    };
    dtype == DType::kFloat64 ? apply(std::type_identity<double>{})
                             : apply(std::type_identity<float>{});
  };
  return step;
}

void infer_image_scaler(InferContext& c) {
  c.expect_rank(0, 4, 4);
  const auto biases = static_cast<std::int64_t>(c.attr_floats("bias").size());
  if (biases != c.shape(0)[1]) {
    c.fail("attribute 'bias' has " + std::to_string(biases) +
           " numbers, expected one for each channel of " + c.shape(0).str());
  }
  infer_affine(c);
}

Step lower_image_scaler(LowerContext& c) {
  // The planner gives input and output one layout (LayoutRule::kFollow, one input).
  const Shape& shape = c.shape(0);
  const std::int64_t stride = layout_strides(shape, c.layout(0))[1];
  Step step;
  step.algorithm = "element-wise";
  step.run = [elements = shape.elements(), channels = shape[1], stride,
              bias = c.attr_floats("bias"), scale = c.attr_float("scale"),
              dtype = c.dtype(0)](const RunContext& run) {
    const auto apply = [&](auto type) {
      using T = typename decltype(type)::type;
      parallel_for(run.threads, elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const T shift = static_cast<T>(bias[static_cast<std::size_t>(i / stride % channels)]);
          run.out<T>(0)[i] = run.in<T>(0)[i] * static_cast<T>(scale) + shift;
        }
      });
    };
    dtype == DType::kFloat64 ? apply(std::type_identity<double>{})
                             : apply(std::type_identity<float>{});
  };
  return step;
}

// What is left of [left, top, right, bottom] borders, or the [height, width] `scale` from the top
// left corner that they mark.
void infer_crop(InferContext& c) {
  c.expect_rank(0, 4, 4);
  const Shape& in = c.shape(0);
  const std::vector<std::int64_t> border = c.attr_ints("border"), size = c.attr_ints("scale");
  if (border.size() != 4 || (!size.empty() && size.size() != 2)) {
    c.fail(
        "needs 'border' [left, top, right, bottom] and, if any, 'scale' [height, width], found " +
        Shape(border).str() + " and " + Shape(size).str());
  }
  for (int axis = 2; axis < 4; ++axis) {
    const auto begin = static_cast<std::size_t>(3 - axis);  // top, left
    const std::int64_t room = in[axis] - border[begin];
    const std::int64_t kept =
        size.empty() ? room - border[begin + 2] : size[static_cast<std::size_t>(axis - 2)];
    if (border[begin] < 0 || border[begin] > in[axis] || border[begin + 2] < 0 || kept < 0 ||
        kept > room) {
      c.fail("'border' " + Shape(border).str() + " and 'scale' " + Shape(size).str() +
             " do not lie within the input " + in.str());
    }
  }
  Shape out = in;
  out[2] = size.empty() ? in[2] - border[1] - border[3] : size[0];
  out[3] = size.empty() ? in[3] - border[0] - border[2] : size[1];
  c.set_output(0, c.dtype(0), out);
}

Step lower_crop(LowerContext& c) {
  const std::vector<std::int64_t> in = layout_strides(c.shape(0), c.layout(0));
  const std::vector<std::int64_t> border = c.attr_ints("border");
  const std::int64_t offset = border[1] * in[2] + border[0] * in[3];
  StridedCopy copy(box(c.out_shape(0), in, layout_strides(c.out_shape(0), c.out_layout(0))),
                   c.dtype(0), c.isa());
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [copy = std::move(copy), offset](const RunContext& run) {
    copy.run(run.inputs[0], offset, run.outputs[0], 0, run.threads);
  };
  return step;
}

constexpr AttrDef kAffineAttrs[] = {
    {.name = "alpha", .type = AttrType::kFloat, .doc = "factor", .float_default = 1.0f},
    {.name = "beta", .type = AttrType::kFloat, .doc = "summand"}};
constexpr AttrDef kImageScalerAttrs[] = {
    {.name = "bias", .type = AttrType::kFloats, .doc = "summand of each channel"},
    {.name = "scale", .type = AttrType::kFloat, .doc = "factor", .float_default = 1.0f}};
constexpr AttrDef kCropAttrs[] = {
    {.name = "border",
     .type = AttrType::kInts,
     .doc = "pixels cut at left, top, right and bottom",
     .required = true},
    {.name = "scale", .type = AttrType::kInts, .doc = "height and width kept instead; optional"}};

constexpr OpDef kOps[] = {
    {.name = "Affine",
     .doc = "alpha * x + beta (experimental, removed in ONNX 1.5).",
     .attributes = kAffineAttrs,
     .infer = infer_affine,
     .lower = lower_affine,
     .layout = LayoutRule::kFollow,
     .inplace = 1},
    {.name = "ImageScaler",
     .doc = "scale * x + bias of the channel (experimental, removed in ONNX 1.5).",
     .attributes = kImageScalerAttrs,
     .infer = infer_image_scaler,
     .lower = lower_image_scaler,
     .layout = LayoutRule::kFollow,
     .inplace = 1},
    {.name = "Crop",
     .doc = "An image without its borders (experimental, removed in ONNX 1.5).",
     .attributes = kCropAttrs,
     .infer = infer_crop,
     .lower = lower_crop,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable legacy_image_ops;
const OpTable legacy_image_ops = {kOps};

}  // namespace lanewise
