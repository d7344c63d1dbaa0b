// Old forms of Resize and its relatives: Upsample, RoiAlign, GridSample.
#include <algorithm>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

// "bilinear" is Upsample-1's and GridSample-16's word for linear.
void plain_mode(Rewriter& r, const std::string& fallback) {
  const std::string mode = r.take<std::string>("mode").value_or(fallback);
  r.set("mode", mode == "bilinear"  ? std::string("linear")
                : mode == "bicubic" ? std::string("cubic")
                                    : mode);
}

void upsample_6(Rewriter& r) {
  const auto height = r.take<float>("height_scale");
  const auto width = r.take<float>("width_scale");
  if (!height || !width)
    r.fail("the required attributes 'height_scale' and 'width_scale' are missing");
  plain_mode(r, "nearest");
  r.set("scales", std::vector<float>{1.0f, 1.0f, *height, *width});
}

void upsample_8(Rewriter& r) {
  const auto scales = r.take<std::vector<float>>("scales");
  if (!scales) r.fail("the required attribute 'scales' is missing");
  r.set_input(1, r.floats(*scales, DType::kFloat32));
}

void upsample_9(Rewriter& r) {
  plain_mode(r, "nearest");
  r.node.op = "Resize";
  r.node.version = 10;
}

// Coordinates were x / scale, and nearest meant the one before when growing, the one after when
// shrinking.
void resize_10(Rewriter& r) {
  const std::string scales = r.input(1);
  const Tensor* known = r.content(scales);
  bool shrinks = known != nullptr && known->elements() > 0;
  if (shrinks) {
    const std::vector<double> values = known->float_values();
    shrinks = std::all_of(values.begin(), values.end(), [](double s) { return s <= 1.0; });
  }
  r.set("coordinate_transformation_mode", std::string("asymmetric"));
  r.set("nearest_mode", std::string(shrinks ? "ceil" : "floor"));
  r.node.inputs = {r.input(0), "", scales};
}

void roi_align_15(Rewriter& r) {
  r.set("coordinate_transformation_mode", std::string("output_half_pixel"));
}

void grid_sample_19(Rewriter& r) { plain_mode(r, "bilinear"); }

constexpr Rule kRules[] = {
    {"Upsample", 1, 6, upsample_6},
    {"Upsample", 7, 8, upsample_8},
    // Deprecated from opset 10 on, and still written by some exporters.
    {"Upsample", 9, kNewestOpset, upsample_9},
    {"Resize", 10, 10, resize_10},
    {"RoiAlign", 10, 15, roi_align_15},
    {"GridSample", 16, 19, grid_sample_19},
};

}  // namespace

std::span<const Rule> resample_rules() { return kRules; }

}  // namespace lanewise::onnx
