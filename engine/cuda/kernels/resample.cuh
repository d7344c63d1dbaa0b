// What resample.cu computes: weighted sums of samples along one axis, and regions of interest.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// [outer][in][inner] becomes [outer][out][inner]: y[o] = sum over t of x[index[o][t]] weight[o][t].
struct ResampleCall {
  const void* x = nullptr;
  void* y = nullptr;
  const int* index = nullptr;
  const float* weight = nullptr;
  unsigned elements = 0;
  int in = 0, taps = 0;
  Divisor inner, out;
};

// MaxRoiPool: rois are [batch, x1, y1, x2, y2] on the image before `scale`.
struct RoiCall {
  const void *x = nullptr, *rois = nullptr;
  void* y = nullptr;
  unsigned elements = 0;
  int height = 0, width = 0, images = 0;
  bool channels_last = false;  // of x and of y
  Divisor channels, pooled_height, pooled_width;
  float scale = 1.0f;
  IndexCheck check;  // of the image's number
};

}  // namespace lanewise::cuda
