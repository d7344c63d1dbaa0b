// ONNX Resize along one axis. Coordinates are computed in double, as the specification's reference
// does: at the borders of nearest and floor modes one rounding more would pick another pixel.
#include "engine/cpu/resample_axis.h"

#include <algorithm>
#include <cmath>

namespace lanewise {
namespace {

// The coordinate in the input of output index x.
double source_coordinate(const ResampleAxis& axis, Coordinates mode, std::int64_t x) {
  const double at = static_cast<double>(x), in = static_cast<double>(axis.in);
  const double width = axis.scale * in;  // may be fractional
  switch (mode) {
    case Coordinates::kHalfPixel: return (at + 0.5) / axis.scale - 0.5;
    case Coordinates::kHalfPixelSymmetric: {
      const double adjustment = static_cast<double>(axis.out) / width;
      return in / 2 * (1 - adjustment) + (at + 0.5) / axis.scale - 0.5;
    }
    case Coordinates::kPytorchHalfPixel: return width == 1 ? 0.0 : (at + 0.5) / axis.scale - 0.5;
    case Coordinates::kAlignCorners: return width == 1 ? 0.0 : at * (in - 1) / (width - 1);
    case Coordinates::kAsymmetric: return at / axis.scale;
    case Coordinates::kCropAndResize: {
      const double extent = (axis.roi_end - axis.roi_begin) * (in - 1);
      return axis.roi_begin * (in - 1) + (width == 1 ? extent / 2 : at * extent / (width - 1));
    }
  }
  return 0.0;
}

bool is_outside(const ResampleAxis& axis, const ResampleOptions& options, double at) {
  return options.coordinates == Coordinates::kCropAndResize &&
         !(at >= 0 && at <= static_cast<double>(axis.in - 1));
}

double linear_weight(double distance) { return std::max(0.0, 1 - std::fabs(distance)); }

// Keys 1981, equation 4.
double cubic_weight(double distance, double a) {
  const double x = std::fabs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0.0;
}

// A NaN, from a region of interest that holds one, gives 0.
std::int64_t clamp_index(double at, std::int64_t size) {
  return at > 0 ? static_cast<std::int64_t>(std::min(at, static_cast<double>(size - 1))) : 0;
}

}  // namespace

std::vector<std::int64_t> nearest_sources(const ResampleAxis& axis,
                                          const ResampleOptions& options) {
  std::vector<std::int64_t> sources;
  for (std::int64_t x = 0; x < axis.out; ++x) {
    const double at = source_coordinate(axis, options.coordinates, x);
    double nearest = std::floor(at);
    switch (options.rounding) {
      case Rounding::kPreferFloor: nearest = at - nearest <= 0.5 ? nearest : nearest + 1; break;
      case Rounding::kPreferCeil: nearest = at - nearest < 0.5 ? nearest : nearest + 1; break;
      case Rounding::kFloor: break;
      case Rounding::kCeil: nearest = std::ceil(at); break;
    }
    sources.push_back(is_outside(axis, options, at) ? -1 : clamp_index(nearest, axis.in));
  }
  return sources;
}

Taps resample_taps(const ResampleAxis& axis, const ResampleOptions& options) {
  const bool cubic = options.interpolation == Interpolation::kCubic;
  // Antialiasing stretches the filter over the input pixels that an output pixel covers.
  const double stretch = options.antialias ? std::min(axis.scale, 1.0) : 1.0;
  const auto first = static_cast<std::int64_t>(std::floor((cubic ? -2 : -1) / stretch)) + 1;
  Taps result;
  result.taps = 2 - 2 * first;
  for (std::int64_t x = 0; x < axis.out; ++x) {
    const double at = source_coordinate(axis, options.coordinates, x);
    // The window's middle lies left of `at`, also when `at` is a whole number.
    const double base = std::ceil(at) - 1;
    result.outside.push_back(is_outside(axis, options, at) ? 1 : 0);
    double sum = 0;
    for (std::int64_t t = 0; t < result.taps; ++t) {
      const double index = base + static_cast<double>(first + t);
      const double distance = (index - at) * stretch;
      double weight = cubic ? cubic_weight(distance, options.cubic_a) : linear_weight(distance);
      if (options.exclude_outside && (index < 0 || index >= static_cast<double>(axis.in))) {
        weight = 0;
      }
      result.indices.push_back(clamp_index(index, axis.in));
      result.weights.push_back(weight);
      sum += weight;
    }
    if ((options.antialias || options.exclude_outside) && sum != 0) {
      for (auto w = result.weights.end() - result.taps; w != result.weights.end(); ++w) *w /= sum;
    }
  }
  return result;
}

}  // namespace lanewise
