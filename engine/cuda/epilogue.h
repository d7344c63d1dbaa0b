// The step after a library's product or convolution: bias, residual and activation in one pass.
#pragma once

#include <cstdint>

#include "engine/cuda/op.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::cuda {

// y = activation(y + scale * addend[row * row_stride + column * column_stride] + residual).
struct EpilogueShape {
  std::int64_t rows = 0, columns = 0;
  std::int64_t row_stride = 0, column_stride = 1;
  float scale = 1.0f;
  kernels::ActivationCall activation = {};
};

class CudaEpilogue {
 public:
  // For values of the type of output 0.
  CudaEpilogue(const CudaLowerContext& c, const EpilogueShape& shape);
  // `addend` and `residual` may be null.
  void enqueue(const RunContext& run, void* y, const void* addend, const void* residual) const;

 private:
  Kernel kernel_;
  EpilogueShape shape_;
};

// "f32", "f16" or "bf16": what names of device functions end in. Refuses other types.
const char* float_suffix(const CudaLowerContext& c, DType dtype);

}  // namespace lanewise::cuda
