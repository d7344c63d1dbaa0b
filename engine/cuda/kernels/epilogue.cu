// What follows a matrix product or a convolution where the library that made it does not do it:
// y = activation(y + scale * addend + residual) over rows of channels. The addend is a row, a
// column, a scalar or a matrix, as its strides say.
#include "activation.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {

template <class T>
static __device__ void epilogue(T* y, const T* addend, const T* residual, long long elements,
                                long long columns, long long row_stride, long long column_stride,
                                float scale, int function, float alpha, float beta) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
    float value = widened(y[i]);
    if (addend != nullptr)
      value += scale * widened(addend[i / columns * row_stride + i % columns * column_stride]);
    if (residual != nullptr) value += widened(residual[i]);
    y[i] = narrowed<T>(activated(value, function, alpha, beta));
  }
}

}  // namespace lanewise::cuda

extern "C" __global__ void epilogue_f32(float* y, const float* addend, const float* residual,
                                        long long elements, long long columns, long long row_stride,
                                        long long column_stride, float scale, int function,
                                        float alpha, float beta) {
  lanewise::cuda::epilogue(y, addend, residual, elements, columns, row_stride, column_stride, scale,
                           function, alpha, beta);
}
extern "C" __global__ void epilogue_f16(lanewise::cuda::Half* y, const lanewise::cuda::Half* addend,
                                        const lanewise::cuda::Half* residual, long long elements,
                                        long long columns, long long row_stride,
                                        long long column_stride, float scale, int function,
                                        float alpha, float beta) {
  lanewise::cuda::epilogue(y, addend, residual, elements, columns, row_stride, column_stride, scale,
                           function, alpha, beta);
}
extern "C" __global__ void epilogue_bf16(lanewise::cuda::BFloat* y,
                                         const lanewise::cuda::BFloat* addend,
                                         const lanewise::cuda::BFloat* residual, long long elements,
                                         long long columns, long long row_stride,
                                         long long column_stride, float scale, int function,
                                         float alpha, float beta) {
  lanewise::cuda::epilogue(y, addend, residual, elements, columns, row_stride, column_stride, scale,
                           function, alpha, beta);
}
