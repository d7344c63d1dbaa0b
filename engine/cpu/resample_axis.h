// Where the samples of a resized axis lie in its input, and with which weights they are combined.
#pragma once

#include <cstdint>
#include <vector>

namespace lanewise {

enum class Coordinates {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kCropAndResize
};
enum class Interpolation { kNearest, kLinear, kCubic };
enum class Rounding { kPreferFloor, kPreferCeil, kFloor, kCeil };

struct ResampleOptions {
  Coordinates coordinates = Coordinates::kHalfPixel;
  Interpolation interpolation = Interpolation::kNearest;
  Rounding rounding = Rounding::kPreferFloor;
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
};

struct ResampleAxis {
  std::int64_t in = 0, out = 0;
  double scale = 1.0;                     // as given: out / in need not be exactly this
  double roi_begin = 0.0, roi_end = 1.0;  // for kCropAndResize
};

// The input index of each output index for kNearest; -1 outside the region of kCropAndResize.
std::vector<std::int64_t> nearest_sources(const ResampleAxis& axis, const ResampleOptions& options);

// `taps` input indices and weights for each output index, for kLinear and kCubic.
struct Taps {
  std::int64_t taps = 0;
  std::vector<std::int64_t> indices;  // within the input
  std::vector<double> weights;
  std::vector<char> outside;  // 1 for output indices that take the extrapolation value
};
Taps resample_taps(const ResampleAxis& axis, const ResampleOptions& options);

}  // namespace lanewise
