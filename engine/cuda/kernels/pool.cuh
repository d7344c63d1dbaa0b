// What pool.cu computes: the largest element, the mean or the p-norm under each window.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

enum class PoolKind : int { kMax, kMean, kLp };

// Of arrays [image][spatial..., 3][channel] or, where not channels-last, [image][channel][spatial].
struct PoolCall {
  const void* x = nullptr;
  void* y = nullptr;
  long long* where = nullptr;  // or null; of kMax: positions in the input, counted in ONNX's order
  PoolKind kind = PoolKind::kMax;
  bool channels_last = true;
  bool counts_padding = false;
  int p = 2;
  unsigned elements = 0;  // of the result
  Divisor channels;
  Divisor out[3];
  int in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int pad[3] = {0, 0, 0}, pad_end[3] = {0, 0, 0};
};

}  // namespace lanewise::cuda
