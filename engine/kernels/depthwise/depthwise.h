// Depthwise convolution: each channel with a filter of its own (Sifre & Mallat 2014; Howard et al.
// 2017).
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// One output row. The image lies as [rows][width][channels].
struct DepthwiseRow {
  const float* in = nullptr;
  const std::int64_t* rows = nullptr;         // the input rows under the window
  const std::int64_t* filter_rows = nullptr;  // for each of them, the row of the filter
  std::int64_t row_count = 0;
  std::int64_t width = 0, channels = 0;
  const float* weights = nullptr;  // [filter rows][kernel][channels]
  float* out = nullptr;
  std::int64_t out_width = 0;
  // Along the width: output o reads columns o * stride - pad + k * dilation for k in [0, kernel).
  std::int64_t kernel = 1, stride = 1, dilation = 1, pad = 0;
  Epilogue epilogue;  // rows are pixels, columns are channels
};

struct DepthwiseF32 {
  int lanes;
  // Each output sums the bias, then filter rows and taps, ascending, whatever pixels share a
  // register block.
  void (*row)(const DepthwiseRow&) noexcept;
};
const DepthwiseF32& depthwise_f32(Isa isa);

}  // namespace lanewise::kernels
