// Pooling over regions of interest: RoiAlign (He et al. 2017) and MaxRoiPool (Girshick 2015).
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// Samples per side of a bin, at the most: a region far larger than any image is refused.
constexpr double kMaxSamples = 1 << 14;

struct RoiPlan {
  std::int64_t batch, channels, height, width;  // of the feature map
  std::int64_t rois, out_height, out_width;
  std::vector<std::int64_t> in, out;  // strides: n c h w
  double scale;
  bool average, half_pixel;
  std::int64_t sampling;
  std::string where;
};

void infer_roi_align(InferContext& c) {
  c.expect_rank(0, 4, 4);
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  c.expect_same_dtype(0, 1);
  c.expect_dtype(2, {DType::kInt64});
  c.expect_rank(2, 1, 1);
  if (c.shape(1) != Shape{c.shape(2)[0], 4}) {
    c.fail("'rois' must have shape [" + std::to_string(c.shape(2)[0]) +
           ", 4], one box for each batch index, found " + c.shape(1).str());
  }
  const std::int64_t height = c.attr_int("output_height"), width = c.attr_int("output_width");
  if (height < 1 || width < 1 || height > 65536 || width > 65536) {
    c.fail("'output_height' and 'output_width' must be 1 to 65536, found " +
           std::to_string(height) + " and " + std::to_string(width));
  }
  if (c.attr_int("sampling_ratio") < 0 ||
      c.attr_int("sampling_ratio") > static_cast<std::int64_t>(kMaxSamples)) {
    c.fail("attribute 'sampling_ratio' is " + std::to_string(c.attr_int("sampling_ratio")) +
           ", expected 0 to 16384");
  }
  const std::string_view mode = c.attr_string("mode"),
                         shift = c.attr_string("coordinate_transformation_mode");
  if (mode != "avg" && mode != "max") {
    c.fail("attribute 'mode' is '" + std::string(mode) + "', expected avg or max");
  }
  if (shift != "half_pixel" && shift != "output_half_pixel") {
    c.fail("attribute 'coordinate_transformation_mode' is '" + std::string(shift) +
           "', expected half_pixel or output_half_pixel");
  }
  c.set_output(0, c.dtype(0), Shape{c.shape(2)[0], c.shape(0)[1], height, width});
}

RoiPlan plan_roi(const LowerContext& c) {
  const Shape& in = c.shape(0);
  const Shape& out = c.out_shape(0);
  return {.batch = in[0],
          .channels = in[1],
          .height = in[2],
          .width = in[3],
          .rois = out[0],
          .out_height = out[2],
          .out_width = out[3],
          .in = layout_strides(in, c.layout(0)),
          .out = layout_strides(out, c.out_layout(0)),
          .scale = c.attr_float("spatial_scale"),
          .average = c.attr_string("mode") == "avg",
          .half_pixel = c.attr_string("coordinate_transformation_mode") == "half_pixel",
          .sampling = c.attr_int("sampling_ratio"),
          .where = c.where()};
}

std::int64_t checked_image(const RoiPlan& plan, std::int64_t image, std::int64_t roi) {
  if (image >= 0 && image < plan.batch) return image;
  throw ModelError(plan.where + "batch index " + std::to_string(image) + " of region " +
                   std::to_string(roi) + " is out of range; expected 0 to " +
                   std::to_string(plan.batch - 1));
}

// A region in the map's coordinates, and its samples per bin.
template <class T>
struct Region {
  T y, x, bin_height, bin_width;
  std::int64_t samples_y, samples_x;
};

template <class T>
Region<T> resolve_region(const RoiPlan& plan, const T* box, std::int64_t roi) {
  const T scale = static_cast<T>(plan.scale), offset = plan.half_pixel ? T(0.5) : T(0);
  const T x = box[0] * scale - offset, y = box[1] * scale - offset;
  T width = box[2] * scale - offset - x, height = box[3] * scale - offset - y;
  if (!plan.half_pixel) {
    width = std::max(width, T(1));
    height = std::max(height, T(1));
  }
  Region<T> region{y,
                   x,
                   height / static_cast<T>(plan.out_height),
                   width / static_cast<T>(plan.out_width),
                   plan.sampling,
                   plan.sampling};
  const double most = std::max(std::fabs(static_cast<double>(region.bin_height)),
                               std::fabs(static_cast<double>(region.bin_width)));
  if (!(most <= kMaxSamples) || !std::isfinite(x) || !std::isfinite(y)) {
    throw ModelError(plan.where + "region " + std::to_string(roi) +
                     " is not finite or spans more than 16384 pixels per output bin");
  }
  if (plan.sampling == 0) {
    region.samples_y = static_cast<std::int64_t>(std::ceil(region.bin_height));
    region.samples_x = static_cast<std::int64_t>(std::ceil(region.bin_width));
  }
  return region;
}

// The two neighbours of a coordinate and the weight of the upper one; false when outside the map.
template <class T>
bool neighbours(T at, std::int64_t size, std::int64_t& low, std::int64_t& high, T& weight) {
  if (at < T(-1) || at > static_cast<T>(size)) return false;
  at = std::max(at, T(0));
  low = static_cast<std::int64_t>(at);
  if (low >= size - 1) {
    low = high = size - 1;
    weight = T(0);
  } else {
    high = low + 1;
    weight = at - static_cast<T>(low);
  }
  return true;
}

// One sample of one bin, added to (or, for max, compared with) every channel of the output.
template <class T>
void add_sample(const RoiPlan& plan, const T* map, T y, T x, bool first, T* out) {
  std::int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
  T wy = 0, wx = 0;
  const bool inside =
      neighbours(y, plan.height, y0, y1, wy) && neighbours(x, plan.width, x0, x1, wx);
  const T* p00 = map + y0 * plan.in[2] + x0 * plan.in[3];
  const T* p01 = map + y0 * plan.in[2] + x1 * plan.in[3];
  const T* p10 = map + y1 * plan.in[2] + x0 * plan.in[3];
  const T* p11 = map + y1 * plan.in[2] + x1 * plan.in[3];
  const T w00 = (1 - wy) * (1 - wx), w01 = (1 - wy) * wx, w10 = wy * (1 - wx), w11 = wy * wx;
  if (plan.average && !inside) return;
  for (std::int64_t c = 0; c < plan.channels; ++c) {
    const std::int64_t at = c * plan.in[1];
    T& to = out[c * plan.out[1]];
    if (plan.average) {
      to += w00 * p00[at] + w01 * p01[at] + w10 * p10[at] + w11 * p11[at];
    } else {
      // ONNX defines max over the weighted neighbours, not over interpolated values.
      const T value = inside ? std::max(std::max(w00 * p00[at], w01 * p01[at]),
                                        std::max(w10 * p10[at], w11 * p11[at]))
                             : T(0);
      to = first ? value : std::max(to, value);
    }
  }
}

template <class T>
void align_bin(const RoiPlan& plan, const Region<T>& region, const T* map, std::int64_t ph,
               std::int64_t pw, T* out) {
  for (std::int64_t c = 0; c < plan.channels; ++c) out[c * plan.out[1]] = T(0);
  for (std::int64_t iy = 0; iy < region.samples_y; ++iy) {
    const T y =
        region.y + static_cast<T>(ph) * region.bin_height +
        (static_cast<T>(iy) + T(0.5)) * region.bin_height / static_cast<T>(region.samples_y);
    for (std::int64_t ix = 0; ix < region.samples_x; ++ix) {
      const T x =
          region.x + static_cast<T>(pw) * region.bin_width +
          (static_cast<T>(ix) + T(0.5)) * region.bin_width / static_cast<T>(region.samples_x);
      add_sample(plan, map, y, x, iy == 0 && ix == 0, out);
    }
  }
  if (!plan.average || region.samples_y <= 0 || region.samples_x <= 0) return;
  const T count = static_cast<T>(region.samples_y * region.samples_x);
  for (std::int64_t c = 0; c < plan.channels; ++c) out[c * plan.out[1]] /= count;
}

template <class T>
void roi_align(const RoiPlan& plan, const RunContext& run) {
  std::vector<Region<T>> regions;
  std::vector<std::int64_t> images;
  for (std::int64_t roi = 0; roi < plan.rois; ++roi) {
    regions.push_back(resolve_region(plan, run.in<T>(1) + 4 * roi, roi));
    images.push_back(checked_image(plan, run.in<std::int64_t>(2)[roi], roi));
  }
  if (plan.height == 0 || plan.width == 0) {
    std::fill_n(run.out<T>(0), plan.rois * plan.channels * plan.out_height * plan.out_width, T(0));
    return;
  }
  const std::int64_t bins = plan.out_height * plan.out_width;
  parallel_for(run.threads, plan.rois * bins, 4096 / std::max<std::int64_t>(1, plan.channels) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t roi = i / bins, ph = i % bins / plan.out_width,
                                      pw = i % plan.out_width;
                   align_bin(
                       plan, regions[static_cast<std::size_t>(roi)],
                       run.in<T>(0) + images[static_cast<std::size_t>(roi)] * plan.in[0], ph, pw,
                       run.out<T>(0) + roi * plan.out[0] + ph * plan.out[2] + pw * plan.out[3]);
                 }
               });
}

Step lower_roi_align(LowerContext& c) {
  Step step;
  step.algorithm = "align";
  step.run = [plan = plan_roi(c), dtype = c.dtype(0)](const RunContext& run) {
    dtype == DType::kFloat64 ? roi_align<double>(plan, run) : roi_align<float>(plan, run);
  };
  return step;
}

void infer_max_roi_pool(InferContext& c) {
  c.expect_rank(0, 4, 4);
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  c.expect_same_dtype(0, 1);
  c.expect_rank(1, 2, 2);
  if (c.shape(1)[1] != 5) c.fail("'rois' must have shape [count, 5], found " + c.shape(1).str());
  const std::vector<std::int64_t> pooled = c.attr_ints("pooled_shape");
  if (pooled.size() != 2 || pooled[0] < 1 || pooled[1] < 1 || pooled[0] > 65536 ||
      pooled[1] > 65536) {
    c.fail("attribute 'pooled_shape' must be [height, width] from 1 to 65536, found " +
           Shape(pooled).str());
  }
  c.set_output(0, c.dtype(0), Shape{c.shape(1)[0], c.shape(0)[1], pooled[0], pooled[1]});
}

// A region rounded to whole pixels; its last row and column belong to it.
struct PixelBox {
  std::int64_t image, y, x, height, width;
};

template <class T>
PixelBox pixel_box(const RoiPlan& plan, const T* roi, std::int64_t at) {
  for (int i = 0; i < 5; ++i) {
    if (std::fabs(static_cast<double>(roi[i]) * plan.scale) < 0x1p31) continue;
    throw ModelError(plan.where + "region " + std::to_string(at) +
                     " is not finite or out of range");
  }
  const std::int64_t image = checked_image(plan, static_cast<std::int64_t>(roi[0]), at);
  const auto pixel = [&](int i) {
    return static_cast<std::int64_t>(std::round(roi[i] * static_cast<T>(plan.scale)));
  };
  const std::int64_t x = pixel(1), y = pixel(2);
  return {image, y, x, std::max<std::int64_t>(pixel(4) - y + 1, 1),
          std::max<std::int64_t>(pixel(3) - x + 1, 1)};
}

// The pixels [begin, end) of bin `at` of `bins` over a side, clipped to the map.
std::pair<std::int64_t, std::int64_t> bin_range(std::int64_t at, std::int64_t bins,
                                                std::int64_t start, std::int64_t length,
                                                std::int64_t size) {
  const float bin = static_cast<float>(length) / static_cast<float>(bins);
  const auto begin = static_cast<std::int64_t>(std::floor(static_cast<float>(at) * bin)) + start;
  const auto end = static_cast<std::int64_t>(std::ceil(static_cast<float>(at + 1) * bin)) + start;
  return {std::clamp<std::int64_t>(begin, 0, size), std::clamp<std::int64_t>(end, 0, size)};
}

template <class T>
void pool_bin(const RoiPlan& plan, const PixelBox& box, const T* map, std::int64_t ph,
              std::int64_t pw, T* out) {
  const auto [y0, y1] = bin_range(ph, plan.out_height, box.y, box.height, plan.height);
  const auto [x0, x1] = bin_range(pw, plan.out_width, box.x, box.width, plan.width);
  for (std::int64_t c = 0; c < plan.channels; ++c) out[c * plan.out[1]] = T(0);
  for (std::int64_t y = y0; y < y1; ++y) {
    for (std::int64_t x = x0; x < x1; ++x) {
      const T* pixel = map + y * plan.in[2] + x * plan.in[3];
      for (std::int64_t c = 0; c < plan.channels; ++c) {
        T& to = out[c * plan.out[1]];
        const T value = pixel[c * plan.in[1]];
        to = (y == y0 && x == x0) || value > to ? value : to;
      }
    }
  }
}

template <class T>
void max_roi_pool(const RoiPlan& plan, const RunContext& run) {
  std::vector<PixelBox> boxes;
  for (std::int64_t roi = 0; roi < plan.rois; ++roi) {
    boxes.push_back(pixel_box(plan, run.in<T>(1) + 5 * roi, roi));
  }
  const std::int64_t bins = plan.out_height * plan.out_width;
  parallel_for(
      run.threads, plan.rois * bins, 4096 / std::max<std::int64_t>(1, plan.channels) + 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const PixelBox& box = boxes[static_cast<std::size_t>(i / bins)];
          const std::int64_t ph = i % bins / plan.out_width, pw = i % plan.out_width;
          pool_bin(plan, box, run.in<T>(0) + box.image * plan.in[0], ph, pw,
                   run.out<T>(0) + i / bins * plan.out[0] + ph * plan.out[2] + pw * plan.out[3]);
        }
      });
}

Step lower_max_roi_pool(LowerContext& c) {
  Step step;
  step.algorithm = "max pool";
  step.run = [plan = plan_roi(c), dtype = c.dtype(0)](const RunContext& run) {
    dtype == DType::kFloat64 ? max_roi_pool<double>(plan, run) : max_roi_pool<float>(plan, run);
  };
  return step;
}

constexpr AttrDef kRoiAlignAttrs[] = {
    {.name = "coordinate_transformation_mode",
     .type = AttrType::kString,
     .doc = "half_pixel shifts the boxes by -0.5; output_half_pixel does not",
     .string_default = "half_pixel"},
    {.name = "mode", .type = AttrType::kString, .doc = "avg or max", .string_default = "avg"},
    {.name = "output_height",
     .type = AttrType::kInt,
     .doc = "bins along the height",
     .int_default = 1},
    {.name = "output_width",
     .type = AttrType::kInt,
     .doc = "bins along the width",
     .int_default = 1},
    {.name = "sampling_ratio",
     .type = AttrType::kInt,
     .doc = "samples per bin and side; 0 adapts to the box"},
    {.name = "spatial_scale",
     .type = AttrType::kFloat,
     .doc = "map coordinates per box coordinate",
     .float_default = 1.0f}};
constexpr AttrDef kMaxRoiPoolAttrs[] = {{.name = "pooled_shape",
                                         .type = AttrType::kInts,
                                         .doc = "bins along height and width",
                                         .required = true},
                                        {.name = "spatial_scale",
                                         .type = AttrType::kFloat,
                                         .doc = "map coordinates per box coordinate",
                                         .float_default = 1.0f}};

constexpr OpDef kOps[] = {
    {.name = "RoiAlign",
     .doc = "Interpolated samples pooled over regions of interest (He et al. 2017).",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kRoiAlignAttrs,
     .infer = infer_roi_align,
     .lower = lower_roi_align,
     .layout = LayoutRule::kChannels},
    {.name = "MaxRoiPool",
     .doc = "Maxima over regions of interest in whole pixels (Girshick 2015).",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kMaxRoiPoolAttrs,
     .infer = infer_max_roi_pool,
     .lower = lower_max_roi_pool,
     .layout = LayoutRule::kChannels},
};

}  // namespace

extern const OpTable roi_ops;
const OpTable roi_ops = {kOps};

}  // namespace lanewise
