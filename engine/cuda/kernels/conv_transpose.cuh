// What conv_transpose.cu computes, on channels-last activations.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// Weights lie [tap...][input channel][filter of its group].
struct ConvTransposeCall {
  const void *x = nullptr, *weights = nullptr, *bias = nullptr;  // bias may be null
  void* y = nullptr;
  unsigned elements = 0;
  int channels = 0, group = 1;
  Divisor filters, per_group;  // of all groups, of one
  Divisor out[3];
  int in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int pad[3] = {0, 0, 0};
  int function = 0;  // as in engine/kernels/epilogue.h
  float alpha = 0.0f, beta = 0.0f;
};

}  // namespace lanewise::cuda
