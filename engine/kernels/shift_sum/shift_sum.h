// The last step of a convolution, or transposed convolution, whose kernel columns were multiplied
// as outputs of their own: sums of their products, each taken from the input pixel that the column
// falls on.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// One output row: y[x][o] = sum over k < taps of partial[x - pad + k * dilation][k * outputs + o],
// pixels outside [0, in_width) counting as zero; k in order, then the epilogue.
struct ShiftSum {
  const float* partial = nullptr;
  std::int64_t partial_step = 0, in_width = 0;
  std::int64_t taps = 1, dilation = 1, pad = 0;
  int outputs = 1;  // at most `lanes`
  float* out = nullptr;
  std::int64_t out_width = 0;
  Epilogue epilogue;  // rows of C are output pixels
};

struct ShiftSumF32 {
  int lanes;
  // Whole vectors are read: `lanes` floats past the last partial must be readable.
  void (*row)(const ShiftSum&) noexcept;
};

const ShiftSumF32& shift_sum_f32(Isa isa);

// One output row of a transposed convolution: y[x][o] = sum over lines, then over k < taps for
// which x + pad - k * dilation = i * stride with i in [0, in_width), of
// partial[line][i][k * outputs + o]; then the epilogue.
struct StrideSum {
  const float* const* partial = nullptr;
  std::int64_t lines = 0;
  std::int64_t partial_step = 0, in_width = 0;
  std::int64_t taps = 1, stride = 1, dilation = 1, pad = 0;
  int outputs = 1;  // at most `lanes`
  float* out = nullptr;
  std::int64_t out_width = 0;
  Epilogue epilogue;  // rows of C are output pixels
};

struct StrideSumF32 {
  int lanes;
  // Whole vectors are read: `lanes` floats past the last partial must be readable.
  void (*row)(const StrideSum&) noexcept;
};

const StrideSumF32& stride_sum_f32(Isa isa);

}  // namespace lanewise::kernels
