// What follows a matrix product or a convolution where the library that made it does not do it:
// y = activation(y + scale * addend + residual) over rows of channels. The addend is a row, a
// column, a scalar or a matrix, as its strides say.

#include "activation.cuh"

extern "C" __global__ void epilogue_f32(float* y, const float* addend, const float* residual,
                                        long long elements, long long columns,
                                        long long row_stride, long long column_stride, float scale,
                                        int function, float alpha, float beta) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
    float value = y[i];
    if (addend != nullptr)
      value += scale * addend[i / columns * row_stride + i % columns * column_stride];
    if (residual != nullptr) value += residual[i];
    y[i] = activated(value, function, alpha, beta);
  }
}
