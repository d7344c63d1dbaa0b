// Resize: attributes and sizes resolved while planning, then an indexed copy (nearest) or a
// separable interpolation (linear, cubic). Upsample arrives here, rewritten by the importer.
#include "engine/ops/resize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/indexed_copy.h"
#include "engine/cpu/resample_axis.h"
#include "engine/cpu/resampler.h"
#include "engine/graph/layout.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

template <class E>
struct Choice {
  std::string_view name;
  E value;
};

template <class E, std::size_t N>
E choose(const OpContext& c, std::string_view attribute, const Choice<E> (&choices)[N]) {
  const std::string_view given = c.attr_string(attribute);
  std::string names;
  for (const Choice<E>& choice : choices) {
    if (choice.name == given) return choice.value;
    names += (names.empty() ? "" : ", ") + std::string(choice.name);
  }
  c.fail("attribute '" + std::string(attribute) + "' is '" + std::string(given) +
         "', expected one of " + names);
}

constexpr Choice<Coordinates> kCoordinates[] = {
    {"half_pixel", Coordinates::kHalfPixel},
    {"half_pixel_symmetric", Coordinates::kHalfPixelSymmetric},
    {"pytorch_half_pixel", Coordinates::kPytorchHalfPixel},
    {"align_corners", Coordinates::kAlignCorners},
    {"asymmetric", Coordinates::kAsymmetric},
    {"tf_crop_and_resize", Coordinates::kCropAndResize}};
constexpr Choice<Interpolation> kModes[] = {{"nearest", Interpolation::kNearest},
                                            {"linear", Interpolation::kLinear},
                                            {"cubic", Interpolation::kCubic}};
constexpr Choice<Rounding> kRoundings[] = {{"round_prefer_floor", Rounding::kPreferFloor},
                                           {"round_prefer_ceil", Rounding::kPreferCeil},
                                           {"floor", Rounding::kFloor},
                                           {"ceil", Rounding::kCeil}};

}  // namespace

ResampleOptions resample_options(const OpContext& c) {
  ResampleOptions options;
  options.coordinates = choose(c, "coordinate_transformation_mode", kCoordinates);
  options.interpolation = choose(c, "mode", kModes);
  options.rounding = choose(c, "nearest_mode", kRoundings);
  options.cubic_a = c.attr_float("cubic_coeff_a");
  options.exclude_outside = c.attr_int("exclude_outside") != 0;
  options.antialias = c.attr_int("antialias") != 0;
  return options;
}

namespace {

std::vector<int> resized_axes(const OpContext& c, int rank) {
  std::vector<int> axes;
  if (!c.has_attr("axes")) {
    for (int i = 0; i < rank; ++i) axes.push_back(i);
    return axes;
  }
  for (std::int64_t given : c.attr_ints("axes")) {
    const auto axis = normalize_axis(given, rank);
    if (!axis || std::find(axes.begin(), axes.end(), *axis) != axes.end()) {
      c.fail("axis " + std::to_string(given) + " is outside or repeated for rank " +
             std::to_string(rank));
    }
    axes.push_back(*axis);
  }
  return axes;
}

// The content of input i, one number for each of `count` places.
std::vector<double> numbers(const OpContext& c, int i, std::size_t count, const char* name) {
  std::vector<double> values = c.content(i)->float_values();
  if (values.size() != count) {
    c.fail("input '" + std::string(name) + "' has " + std::to_string(values.size()) +
           " numbers, expected " + std::to_string(count));
  }
  return values;
}

void resize_by_scales(const OpContext& c, const std::vector<int>& axes,
                      std::vector<ResampleAxis>& all) {
  const std::vector<double> scales = numbers(c, 2, axes.size(), "scales");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    ResampleAxis& axis = all[static_cast<std::size_t>(axes[i])];
    axis.scale = scales[i];
    // The scale is a float32 and the product is not rounded again: 10 * 0.7f gives 6.
    const double out = std::floor(static_cast<double>(axis.in) * scales[i]);
    if (!(axis.scale > 0) || !(out < 0x1p31)) {
      c.fail("scale " + std::to_string(scales[i]) +
             " is not positive or gives too large a dimension");
    }
    axis.out = static_cast<std::int64_t>(out);
  }
}

void resize_by_sizes(const OpContext& c, const std::vector<int>& axes,
                     std::vector<ResampleAxis>& all) {
  const std::vector<double> sizes = numbers(c, 3, axes.size(), "sizes");
  const std::string_view policy = c.attr_string("keep_aspect_ratio_policy");
  double common = policy == "not_larger" ? std::numeric_limits<double>::infinity() : 0.0;
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller") {
    c.fail("attribute 'keep_aspect_ratio_policy' is '" + std::string(policy) +
           "', expected stretch, not_larger or not_smaller");
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    ResampleAxis& axis = all[static_cast<std::size_t>(axes[i])];
    if (!(sizes[i] >= 0 && sizes[i] < 0x1p31)) {
      c.fail("size " + std::to_string(sizes[i]) + " is out of range");
    }
    axis.out = static_cast<std::int64_t>(sizes[i]);
    axis.scale = axis.in == 0 ? 1.0 : sizes[i] / static_cast<double>(axis.in);
    common = policy == "not_larger" ? std::min(common, axis.scale) : std::max(common, axis.scale);
  }
  if (policy == "stretch") return;
  for (int at : axes) {
    ResampleAxis& axis = all[static_cast<std::size_t>(at)];
    axis.scale = common;
    const double out = std::floor(common * static_cast<double>(axis.in) + 0.5);
    if (!(out < 0x1p31)) c.fail("the sizes give a dimension of more than 2^31");
    axis.out = static_cast<std::int64_t>(out);
  }
}

}  // namespace

std::vector<ResampleAxis> resampled_axes(const OpContext& c) {
  const Shape& in = c.shape(0);
  const std::vector<int> axes = resized_axes(c, in.rank());
  std::vector<ResampleAxis> all;
  for (std::int64_t size : in) all.push_back({.in = size, .out = size});
  const bool by_scales = c.has_input(2) && c.shape(2).elements() > 0;
  const bool by_sizes = c.has_input(3) && c.shape(3).elements() > 0;
  if (by_scales == by_sizes && !axes.empty()) {
    c.fail("needs either 'scales' or 'sizes', and not both");
  }
  if (by_scales) resize_by_scales(c, axes, all);
  if (by_sizes) resize_by_sizes(c, axes, all);
  if (choose(c, "coordinate_transformation_mode", kCoordinates) == Coordinates::kCropAndResize) {
    const std::vector<double> roi = numbers(c, 1, 2 * axes.size(), "roi");
    for (std::size_t i = 0; i < axes.size(); ++i) {
      all[static_cast<std::size_t>(axes[i])].roi_begin = roi[i];
      all[static_cast<std::size_t>(axes[i])].roi_end = roi[i + axes.size()];
    }
  }
  return all;
}

bool is_resized(const ResampleAxis& axis) {
  return axis.scale != 1.0 || axis.in != axis.out || axis.roi_begin != 0.0 || axis.roi_end != 1.0;
}

namespace {

void infer_resize(InferContext& c) {
  const ResampleOptions options = resample_options(c);
  if (options.interpolation == Interpolation::kNearest) {
    if (options.antialias) c.fail("antialias needs mode linear or cubic, found nearest");
  } else if (!visit_number(c.dtype(0), [](auto) {})) {
    c.fail("mode " + std::string(c.attr_string("mode")) + " needs numbers, found " +
           std::string(dtype_name(c.dtype(0))));
  }
  if (options.coordinates == Coordinates::kCropAndResize) c.need(1);
  if (c.has_input(2)) c.need(2);
  if (c.has_input(3)) c.need(3);
  Shape out;
  for (const ResampleAxis& axis : resampled_axes(c)) {
    if (axis.in == 0 && axis.out > 0) c.fail("cannot enlarge the empty input " + c.shape(0).str());
    out.push_back(axis.out);
  }
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

Step lower_nearest(LowerContext& c, const std::vector<ResampleAxis>& axes,
                   const ResampleOptions& options) {
  std::vector<std::vector<std::int64_t>> sources;
  for (ResampleAxis axis : axes) {
    ResampleOptions same = options;
    if (!is_resized(axis)) same.coordinates = Coordinates::kAsymmetric;
    sources.push_back(nearest_sources(axis, same));
  }
  IndexedCopy copy(c.shape(0), c.layout(0), c.out_layout(0), sources, c.dtype(0));
  Tensor fill = Tensor::allocate(c.dtype(0), Shape{});
  visit_element(c.dtype(0), [&](auto type) {
    using T = typename decltype(type)::type;
    *fill.mutable_as<T>() = T{};
  });
  visit_scalar(c.dtype(0), [&](auto type) {
    using T = typename decltype(type)::type;
    *fill.mutable_as<T>() = static_cast<T>(c.attr_float("extrapolation_value"));
  });
  Step step;
  step.algorithm = "nearest";
  step.run = [copy = std::move(copy), fill](const RunContext& run) {
    copy.run(run.inputs[0], fill.data(), run.outputs[0], run.threads);
  };
  return step;
}

template <class T>
T rounded(double value) {
  if constexpr (std::is_floating_point_v<T>) return static_cast<T>(value);
  const double nearest = std::nearbyint(value);
  constexpr auto kLeast = std::numeric_limits<T>::lowest(), kMost = std::numeric_limits<T>::max();
  if (!(nearest > static_cast<double>(kLeast))) return kLeast;
  return nearest < static_cast<double>(kMost) ? static_cast<T>(nearest) : kMost;
}

template <class W>
Resampler<W> make_resampler(const LowerContext& c, const std::vector<ResampleAxis>& axes,
                            const ResampleOptions& options) {
  const int rank = c.shape(0).rank();
  std::vector<std::pair<int, Taps>> taps;
  for (int i = 0; i < rank; ++i) {
    const ResampleAxis& axis = axes[static_cast<std::size_t>(i)];
    if (is_resized(axis)) {
      taps.emplace_back(physical_axis(i, rank, c.layout(0)), resample_taps(axis, options));
    }
  }
  return Resampler<W>(physical(c.shape(0), c.layout(0)), std::move(taps),
                      static_cast<W>(c.attr_float("extrapolation_value")), c.threads(), c.isa());
}

// Input and output share one layout: only input 0 has the output's rank (LayoutRule::kFollow).
Step lower_interpolation(LowerContext& c, const std::vector<ResampleAxis>& axes,
                         const ResampleOptions& options) {
  Step step;
  step.algorithm = std::string("separable ") + std::string(c.attr_string("mode"));
  if (c.dtype(0) == DType::kFloat32) {
    auto resampler = make_resampler<float>(c, axes, options);
    step.scratch_bytes = resampler.scratch_bytes();
    step.run = [resampler = std::move(resampler)](const RunContext& run) {
      resampler.run(run.in<float>(0), run.out<float>(0), run.scratch, run.threads);
    };
    return step;
  }
  // Other types go through double: exact for 32-bit integers, rounded once at the end.
  auto resampler = make_resampler<double>(c, axes, options);
  const std::int64_t in_count = c.shape(0).elements(), out_count = c.out_shape(0).elements();
  const std::size_t wide = static_cast<std::size_t>(in_count + out_count) * sizeof(double);
  step.scratch_bytes = wide + resampler.scratch_bytes();
  step.run = [=, resampler = std::move(resampler), dtype = c.dtype(0)](const RunContext& run) {
    auto* in = reinterpret_cast<double*>(run.scratch);
    double* out = in + in_count;
    visit_number(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      std::transform(run.in<T>(0), run.in<T>(0) + in_count, in,
                     [](T x) { return static_cast<double>(x); });
      resampler.run(in, out, run.scratch + wide, run.threads);
      std::transform(out, out + out_count, run.out<T>(0), rounded<T>);
    });
  };
  return step;
}

Step lower_resize(LowerContext& c) {
  const ResampleOptions options = resample_options(c);
  const std::vector<ResampleAxis> axes = resampled_axes(c);
  const bool same = std::none_of(axes.begin(), axes.end(), is_resized);
  if (options.interpolation == Interpolation::kNearest || same || c.out_shape(0).elements() == 0) {
    return lower_nearest(c, axes, options);
  }
  return lower_interpolation(c, axes, options);
}

constexpr AttrDef kAttrs[] = {
    {.name = "antialias", .type = AttrType::kInt, .doc = "1 stretches the filter when downscaling"},
    {.name = "axes",
     .type = AttrType::kInts,
     .doc = "axes that roi, scales and sizes are for; optional, all"},
    {.name = "coordinate_transformation_mode",
     .type = AttrType::kString,
     .doc = "how output coordinates map to the input",
     .string_default = "half_pixel"},
    {.name = "cubic_coeff_a",
     .type = AttrType::kFloat,
     .doc = "the a of Keys' cubic (1981)",
     .float_default = -0.75f},
    {.name = "exclude_outside", .type = AttrType::kInt, .doc = "1 gives samples outside no weight"},
    {.name = "extrapolation_value",
     .type = AttrType::kFloat,
     .doc = "outside the region of tf_crop_and_resize"},
    {.name = "keep_aspect_ratio_policy",
     .type = AttrType::kString,
     .doc = "stretch, not_larger or not_smaller, for sizes",
     .string_default = "stretch"},
    {.name = "mode",
     .type = AttrType::kString,
     .doc = "nearest, linear or cubic",
     .string_default = "nearest"},
    {.name = "nearest_mode",
     .type = AttrType::kString,
     .doc = "how nearest rounds a coordinate",
     .string_default = "round_prefer_floor"}};

constexpr OpDef kOps[] = {
    {.name = "Resize",
     .doc = "The input sampled at another resolution.",
     .min_inputs = 1,
     .max_inputs = 4,
     .attributes = kAttrs,
     .infer = infer_resize,
     .lower = lower_resize,
     .layout = LayoutRule::kFollow},
};

}  // namespace

extern const OpTable resize_ops;
const OpTable resize_ops = {kOps};

}  // namespace lanewise
