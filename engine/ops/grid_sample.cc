// GridSample (Jaderberg et al. 2015, spatial transformer networks). Its grids: affine_grid.cc.
#include <algorithm>
#include <cmath>
#include <complex>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"
#include "engine/kernels/resample/resample.h"

namespace lanewise {
namespace {

enum class SampleMode { kNearest, kLinear, kCubic };
enum class Border { kZeros, kClamp, kReflect };

constexpr int kMaxSpatial = 6;  // a cubic sample has 4^r taps

SampleMode sample_mode(const OpContext& c) {
  const std::string_view mode = c.attr_string("mode");
  if (mode == "nearest") return SampleMode::kNearest;
  if (mode == "linear" || mode == "bilinear") return SampleMode::kLinear;
  if (mode == "cubic" || mode == "bicubic") return SampleMode::kCubic;
  c.fail("attribute 'mode' is '" + std::string(mode) + "', expected linear, nearest or cubic");
}

Border border(const OpContext& c) {
  const std::string_view mode = c.attr_string("padding_mode");
  if (mode == "zeros") return Border::kZeros;
  if (mode == "border") return Border::kClamp;
  if (mode == "reflection") return Border::kReflect;
  c.fail("attribute 'padding_mode' is '" + std::string(mode) +
         "', expected zeros, border or reflection");
}

// Calls f with the type of what can be sampled. Of strings, only the nearest can.
template <class F>
bool visit_sample(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kBool: f(std::type_identity<bool>{}); return true;
    case DType::kString: f(std::type_identity<std::string>{}); return true;
    case DType::kComplex64: f(std::type_identity<std::complex<float>>{}); return true;
    case DType::kComplex128: f(std::type_identity<std::complex<double>>{}); return true;
    default: return visit_number(dtype, static_cast<F&&>(f));
  }
}

void infer_grid_sample(InferContext& c) {
  if (sample_mode(c) != SampleMode::kNearest && c.dtype(0) == DType::kString) {
    c.fail("strings cannot be interpolated; set the attribute 'mode' to 'nearest'");
  }
  static_cast<void>(border(c));
  const Shape& in = c.shape(0);
  const Shape& grid = c.shape(1);
  c.expect_rank(0, 3, 2 + kMaxSpatial);
  if (!visit_sample(c.dtype(0), [](auto) {})) {
    c.fail("input 0 must be of numbers, bools or strings, found " +
           std::string(dtype_name(c.dtype(0))));
  }
  c.expect_dtype(1, {DType::kFloat32, DType::kFloat64});
  if (grid.rank() != in.rank() || grid[0] != in[0] || grid[grid.rank() - 1] != in.rank() - 2) {
    c.fail("'grid' must have shape [" + std::to_string(in[0]) + ", output sizes, " +
           std::to_string(in.rank() - 2) + "], found " + grid.str());
  }
  Shape out{in[0], in[1]};
  for (int i = 1; i + 1 < grid.rank(); ++i) out.push_back(grid[i]);
  for (int i = 2; i < in.rank(); ++i) {
    if (in[i] == 0 && out.elements() > 0) c.fail("cannot sample the empty input " + in.str());
  }
  c.set_output(0, c.dtype(0), out);
}

struct GridPlan {
  SampleMode mode;
  Border border;
  bool align;
  int spatial;                               // dimensions
  std::int64_t batch, channels, points;      // points of the output of one image
  std::vector<std::int64_t> sizes, strides;  // of the input's spatial dimensions
  std::int64_t in_batch, in_channel;         // strides
  std::int64_t out_batch, out_channel, out_point;
  decltype(kernels::Resample::pixels) blend;  // over channels that lie side by side
};

double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  if (x >= low && x <= high) return x;
  const double away = x < low ? low - x : x - high;
  const double turns = std::floor(away / range);
  const double rest = away - turns * range;
  const bool even = std::fmod(turns, 2.0) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

// Up to four taps along one dimension; index -1 reads as zero.
struct AxisTaps {
  int count = 0;
  std::int64_t index[4];
  double weight[4];
};

void cubic_weights(double t, double* weight) {
  constexpr double kA = -0.75;  // ONNX fixes Keys' a for GridSample
  const auto far = [](double x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  const auto near = [](double x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  weight[0] = far(1 + t);
  weight[1] = near(t);
  weight[2] = near(1 - t);
  weight[3] = far(2 - t);
}

// `position` in [-1, 1] spans the dimension. Coordinates are rounded to float like ONNX's
// reference: nearest would otherwise pick other pixels at ties.
AxisTaps axis_taps(const GridPlan& plan, float position, std::int64_t size) {
  const float length = static_cast<float>(size);
  float x = plan.align ? (position + 1.0f) / 2.0f * (length - 1.0f)
                       : ((position + 1.0f) * length - 1.0f) / 2.0f;
  // NaN and coordinates beyond what integers hold lie outside.
  if (!(x > -1e9f && x < 1e9f)) x = x > 0 ? 1e9f : -1e9f;
  if (plan.mode == SampleMode::kNearest) x = std::nearbyint(x);
  const double low = plan.align ? 0.0 : -0.5;
  const double high = static_cast<double>(size) - (plan.align ? 1.0 : 0.5);
  double at = x;
  if (at < low || at > high) {
    if (plan.border == Border::kClamp) at = std::clamp(at, 0.0, static_cast<double>(size - 1));
    if (plan.border == Border::kReflect) at = reflect(at, low, high);
  }
  AxisTaps taps;
  const double base = plan.mode == SampleMode::kNearest ? std::trunc(at) : std::floor(at);
  const double rest = at - base;
  std::int64_t first = static_cast<std::int64_t>(base);
  switch (plan.mode) {
    case SampleMode::kNearest:
      taps.count = 1;
      taps.weight[0] = 1;
      break;
    case SampleMode::kLinear:
      taps.count = 2;
      taps.weight[0] = 1 - rest;
      taps.weight[1] = rest;
      break;
    case SampleMode::kCubic:
      taps.count = 4;
      --first;
      cubic_weights(rest, taps.weight);
      break;
  }
  for (int i = 0; i < taps.count; ++i) {
    std::int64_t index = first + i;
    if (index < 0 || index >= size) {
      if (plan.border == Border::kZeros) {
        taps.index[i] = -1;
        continue;
      }
      if (plan.border == Border::kReflect) {
        index = static_cast<std::int64_t>(reflect(static_cast<double>(index), low, high));
      }
      index = std::clamp<std::int64_t>(index, 0, size - 1);
    }
    taps.index[i] = index;
  }
  return taps;
}

// The taps of one output point: offsets and weights over all dimensions, zeros left out.
struct PointTaps {
  std::vector<std::int64_t> offsets;
  std::vector<double> weights;
  std::vector<float> narrow;  // the weights as the float32 kernel takes them
};

template <class G>
void point_taps(const GridPlan& plan, const G* position, PointTaps& taps, PointTaps& outer) {
  taps.offsets.assign(1, 0);
  taps.weights.assign(1, 1.0);
  for (int axis = 0; axis < plan.spatial; ++axis) {
    const auto at = static_cast<std::size_t>(axis);
    // The grid lists coordinates innermost dimension first.
    const AxisTaps one =
        axis_taps(plan, static_cast<float>(position[plan.spatial - 1 - axis]), plan.sizes[at]);
    std::swap(taps, outer);
    taps.offsets.clear();
    taps.weights.clear();
    for (std::size_t i = 0; i < outer.offsets.size(); ++i) {
      for (int k = 0; k < one.count; ++k) {
        if (one.index[k] < 0) continue;
        taps.offsets.push_back(outer.offsets[i] + one.index[k] * plan.strides[at]);
        taps.weights.push_back(outer.weights[i] * one.weight[k]);
      }
    }
  }
}

// What weighted elements are summed in.
template <class T>
struct SumOf {
  using type = std::conditional_t<std::is_same_v<T, float>, float, double>;
};
template <class T>
struct SumOf<std::complex<T>> {
  using type = std::complex<double>;
};

template <class T>
void sample_point(const GridPlan& plan, PointTaps& taps, const T* in, T* out) {
  if constexpr (std::is_same_v<T, float>) {
    if (plan.in_channel == 1 && plan.out_channel == 1 && !taps.offsets.empty()) {
      taps.narrow.assign(taps.weights.begin(), taps.weights.end());
      plan.blend(in, taps.offsets.data(), taps.narrow.data(),
                 static_cast<std::int64_t>(taps.offsets.size()), 1, plan.channels, out);
      return;
    }
  }
  for (std::int64_t channel = 0; channel < plan.channels; ++channel) {
    const T* from = in + channel * plan.in_channel;
    T& to = out[channel * plan.out_channel];
    if (plan.mode == SampleMode::kNearest) {
      to = taps.offsets.empty() ? T{} : from[taps.offsets[0]];
      continue;
    }
    if constexpr (!std::is_same_v<T, std::string>) {
      using W = typename SumOf<T>::type;
      using Weight = std::conditional_t<std::is_same_v<T, float>, float, double>;
      W sum = 0;
      for (std::size_t i = 0; i < taps.offsets.size(); ++i) {
        sum += static_cast<W>(from[taps.offsets[i]]) * static_cast<Weight>(taps.weights[i]);
      }
      to = static_cast<T>(sum);
    }
  }
}

GridPlan plan_grid_sample(const LowerContext& c) {
  const Shape& in = c.shape(0);
  const std::vector<std::int64_t> from = layout_strides(in, c.layout(0));
  const std::vector<std::int64_t> to = layout_strides(c.out_shape(0), c.out_layout(0));
  GridPlan plan;
  plan.mode = sample_mode(c);
  plan.border = border(c);
  plan.align = c.attr_int("align_corners") != 0;
  plan.spatial = in.rank() - 2;
  plan.batch = in[0];
  plan.channels = in[1];
  plan.points = c.out_shape(0).elements(2, in.rank());
  plan.sizes.assign(in.begin() + 2, in.end());
  plan.strides.assign(from.begin() + 2, from.end());
  plan.in_batch = from[0];
  plan.in_channel = from[1];
  plan.out_batch = to[0];
  plan.out_channel = to[1];
  plan.out_point = to.back();  // dense over the spatial dimensions in either layout
  plan.blend = kernels::resample(c.isa()).pixels;
  return plan;
}

Step lower_grid_sample(LowerContext& c) {
  Step step;
  step.algorithm = "sample";
  step.run = [plan = plan_grid_sample(c), dtype = c.dtype(0),
              grid_type = c.dtype(1)](const RunContext& run) {
    visit_sample(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      parallel_for(run.threads, plan.batch * plan.points,
                   16384 / std::max<std::int64_t>(1, plan.channels) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     PointTaps taps, spare;
                     for (std::int64_t i = begin; i < end; ++i) {
                       if (grid_type == DType::kFloat64) {
                         point_taps(plan, run.in<double>(1) + i * plan.spatial, taps, spare);
                       } else {
                         point_taps(plan, run.in<float>(1) + i * plan.spatial, taps, spare);
                       }
                       sample_point(plan, taps, run.in<T>(0) + i / plan.points * plan.in_batch,
                                    run.out<T>(0) + i / plan.points * plan.out_batch +
                                        i % plan.points * plan.out_point);
                     }
                   });
    });
  };
  return step;
}

constexpr AttrDef kGridSampleAttrs[] = {{.name = "align_corners",
                                         .type = AttrType::kInt,
                                         .doc = "1: -1 and 1 are the centres of the corner pixels"},
                                        {.name = "mode",
                                         .type = AttrType::kString,
                                         .doc = "linear, nearest or cubic",
                                         .string_default = "linear"},
                                        {.name = "padding_mode",
                                         .type = AttrType::kString,
                                         .doc = "zeros, border or reflection",
                                         .string_default = "zeros"}};
constexpr OpDef kOps[] = {
    {.name = "GridSample",
     .doc = "The input sampled at the positions of a grid (Jaderberg et al. 2015).",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kGridSampleAttrs,
     .infer = infer_grid_sample,
     .lower = lower_grid_sample,
     .layout = LayoutRule::kChannels},
};

}  // namespace

extern const OpTable grid_sample_ops;
const OpTable grid_sample_ops = {kOps};

}  // namespace lanewise
