// What norm.cu and softmax.cu compute: rows and channels brought to a common scale.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// Of arrays [outer][length][inner], along the middle.
struct SoftmaxCall {
  const void* x = nullptr;
  void* y = nullptr;
  unsigned outer = 0, length = 0;
  Divisor inner;
  bool log = false;
};

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias along rows; without the mean for RMS.
struct RowNormCall {
  const void *x = nullptr, *scale = nullptr, *bias = nullptr;  // bias may be null
  void* y = nullptr;
  void *mean = nullptr, *inverse = nullptr;  // results per row, or null; of the type of x
  unsigned rows = 0, columns = 0;
  float epsilon = 0.0f;
  bool rms = false;
};

// Images of `channels` channels of `pixels` each, channels-last or not.
struct Planes {
  unsigned images = 0, channels = 0, pixels = 0;
  bool channels_last = true;
};

// Mean and sum of squared deviations of each channel, in `chunks` pieces of its pixels:
// partial[((image * channels + channel) * chunks + chunk) * 2].
struct MomentsCall {
  const void* x = nullptr;
  float* partial = nullptr;
  Planes planes;
  unsigned chunks = 1, chunk = 0;  // pixels of a chunk
};
constexpr int kMomentLanes = 32, kMomentParts = 8;  // threads of a block, either way round

// From those, over groups of channels: y = x * factors[2 i] + factors[2 i + 1] for the channel i of
// all images.
struct FactorsCall {
  const float* partial = nullptr;
  const void *scale = nullptr, *bias = nullptr;
  float* factors = nullptr;
  Planes planes;
  unsigned chunks = 1, chunk = 0, groups = 1;
  float epsilon = 0.0f;
};

// y = activation(x * factor + shift), the two of each channel, or of each channel of each image.
struct ScaleShiftCall {
  const void* x = nullptr;
  void* y = nullptr;
  const float* factors = nullptr;
  unsigned elements = 0;
  Divisor channels, pixels;
  bool channels_last = true, per_image = false;
  int function = 0;  // as in engine/kernels/epilogue.h
  float alpha = 0.0f, beta = 0.0f;
};

// y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta
struct LrnCall {
  const void* x = nullptr;
  void* y = nullptr;
  unsigned elements = 0;
  Divisor channels, inner;  // elements between neighbouring channels
  int before = 0, after = 0;
  float alpha = 0.0f, beta = 0.0f, bias = 0.0f;  // alpha is divided by size
};

}  // namespace lanewise::cuda
