// Launching epilogue.cu.
#include "engine/cuda/epilogue.h"

#include <string>

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256;

}  // namespace

const char* float_suffix(const CudaLowerContext& c, DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "f32";
    case DType::kFloat16: return "f16";
    case DType::kBFloat16: return "bf16";
    default:
      c.refuse("the device computes in floats of at most 32 bits, not in " +
               std::string(dtype_name(dtype)));
  }
}

CudaEpilogue::CudaEpilogue(const CudaLowerContext& c, const EpilogueShape& shape)
    : kernel_(c.kernel("epilogue", "epilogue_" + std::string(float_suffix(c, c.output(0).dtype)))),
      shape_(shape) {}

void CudaEpilogue::enqueue(const RunContext& run, void* y, const void* addend,
                           const void* residual) const {
  const long long elements = shape_.rows * shape_.columns;
  const long long columns = shape_.columns, row_stride = shape_.row_stride,
                  column_stride = shape_.column_stride;
  kernel_.launch(run, blocks_for(elements, kThreads), {kThreads}, 0, y, addend, residual, elements,
                 columns, row_stride, column_stride, shape_.scale,
                 static_cast<int>(shape_.activation.function), shape_.activation.alpha,
                 shape_.activation.beta);
}

}  // namespace lanewise::cuda
