// Transposed convolution, gathered: each result looks for the inputs whose taps reach it, so that
// nothing is summed in memory. One thread per result, filters fastest.
#include "activation.cuh"
#include "conv_transpose.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {
namespace {

// The input position whose tap k lands on `at`, or -1.
__device__ int source(const ConvTransposeCall& p, int axis, int at, int k) {
  const int shifted = at + p.pad[axis] - k * p.dilation[axis];
  if (shifted < 0 || shifted % p.stride[axis] != 0) return -1;
  const int position = shifted / p.stride[axis];
  return position < p.in[axis] ? position : -1;
}

template <class T>
__device__ void conv_transpose(const ConvTransposeCall& p) {
  const unsigned per_group = p.per_group.divisor;
  const int depth = p.channels / p.group;
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned image = i, group = split(image, p.filters);
    const unsigned filter = group, inner = split(group, p.per_group);
    int at[3];
    for (int d = 2; d >= 0; --d) at[d] = (int)split(image, p.out[d]);
    const T* weights =
        static_cast<const T*>(p.weights) + (long long)group * depth * per_group + inner;
    const T* x = static_cast<const T*>(p.x) + (long long)group * depth;
    float sum = 0.0f;
    for (int kz = 0; kz < p.kernel[0]; ++kz) {
      const int z = source(p, 0, at[0], kz);
      if (z < 0) continue;
      for (int ky = 0; ky < p.kernel[1]; ++ky) {
        const int row = source(p, 1, at[1], ky);
        if (row < 0) continue;
        for (int kx = 0; kx < p.kernel[2]; ++kx) {
          const int column = source(p, 2, at[2], kx);
          if (column < 0) continue;
          const long long tap = ((long long)kz * p.kernel[1] + ky) * p.kernel[2] + kx;
          const long long pixel =
              (((long long)image * p.in[0] + z) * p.in[1] + row) * p.in[2] + column;
          const T* from = x + pixel * p.channels;
          const T* w = weights + tap * p.channels * per_group;
          for (int c = 0; c < depth; ++c)
            sum += widened(from[c]) * widened(w[(long long)c * per_group]);
        }
      }
    }
    if (p.bias != nullptr) sum += widened(static_cast<const T*>(p.bias)[filter]);
    static_cast<T*>(p.y)[i] = narrowed<T>(activated(sum, p.function, p.alpha, p.beta));
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void conv_transpose_f32(ConvTransposeCall p) { conv_transpose<float>(p); }
extern "C" __global__ void conv_transpose_f16(ConvTransposeCall p) { conv_transpose<Half>(p); }
extern "C" __global__ void conv_transpose_bf16(ConvTransposeCall p) { conv_transpose<BFloat>(p); }
