// Strided copies on the device (kernels/copy.cu).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/cpu/strided_copy.h"
#include "engine/cuda/kernels/copy.cuh"
#include "engine/cuda/op.h"

namespace lanewise::cuda {

// "1", "2", "4" or "8": what names of kernels that move elements end in. Refuses other sizes.
std::string bytes_suffix(const CudaLowerContext& c, DType dtype);

class DeviceCopy {
 public:
  DeviceCopy(const CudaLowerContext& c, std::vector<CopyDim> dims, DType dtype);

  // Offsets are those of the box's first element.
  void enqueue(const RunContext& run, const void* x, std::int64_t x_offset, void* y,
               std::int64_t y_offset) const;
  const char* algorithm() const { return transposes_ ? "transpose" : "copy"; }

 private:
  bool transposes_ = false;
  std::int64_t element_bytes_ = 1;
  Kernel kernel_;
  CopyCall copy_;
  TransposeCall transpose_;
};

// A step that fills output 0 from input 0 by tables: element i of an axis, in ONNX's order, comes
// from index tables[axis][i], and -1 takes the one element of input `fill` (zero if it has none).
Step table_copy(const CudaLowerContext& c, const std::vector<std::vector<std::int64_t>>& tables,
                int fill, std::string algorithm);

}  // namespace lanewise::cuda
