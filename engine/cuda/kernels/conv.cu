// Convolution of channels-last activations without a library: depthwise ones, and those that cuDNN
// does not take. Weights lie [filter][taps...][channel of the group].
#include "activation.cuh"
#include "conv_shape.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {

// The output's place: batch, then depth, height, width, then the channel.
struct Spot {
  long long n;
  int at[3], k;
};

static __device__ Spot spot_of(long long i, const ConvShape& p) {
  Spot s;
  s.k = (int)(i % p.outputs);
  long long rest = i / p.outputs;
  for (int axis = 2; axis >= 0; --axis) {
    s.at[axis] = (int)(rest % p.out[axis]);
    rest /= p.out[axis];
  }
  s.n = rest;
  return s;
}

// The input position that a tap reads along an axis, or -1 in the padding.
static __device__ int read_at(const ConvShape& p, int axis, int out, int tap) {
  const int at = out * p.stride[axis] - p.pad[axis] + tap * p.dilation[axis];
  return at < p.in[axis] ? at : -1;
}

template <class T>
static __device__ float sum_at(const T* x, const T* w, const ConvShape& p, const Spot& s) {
  const int inner = p.channels / p.group, filters = p.outputs / p.group;
  const T* pixels = x + s.k / filters * inner;
  const T* tap = w + (long long)s.k * p.kernel[0] * p.kernel[1] * p.kernel[2] * inner;
  float sum = 0.0f;
  for (int tz = 0; tz < p.kernel[0]; ++tz) {
    const int z = read_at(p, 0, s.at[0], tz);
    for (int ty = 0; ty < p.kernel[1]; ++ty) {
      const int row = read_at(p, 1, s.at[1], ty);
      for (int tx = 0; tx < p.kernel[2]; ++tx, tap += inner) {
        const int column = read_at(p, 2, s.at[2], tx);
        if (z < 0 || row < 0 || column < 0) continue;
        const T* pixel =
            pixels + (((s.n * p.in[0] + z) * p.in[1] + row) * p.in[2] + column) * p.channels;
        for (int c = 0; c < inner; ++c) sum += widened(pixel[c]) * widened(tap[c]);
      }
    }
  }
  return sum;
}

// One thread per output, channels fastest: neighbours read neighbouring channels.
template <class T>
static __device__ void conv(const T* x, const T* w, const T* bias, const T* residual, T* y,
                            const ConvShape& p, long long elements) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
    const Spot s = spot_of(i, p);
    float sum = sum_at(x, w, p, s);
    if (bias != nullptr) sum += widened(bias[s.k]);
    if (residual != nullptr) sum += widened(residual[i]);
    y[i] = narrowed<T>(activated(sum, p.function, p.alpha, p.beta));
  }
}

}  // namespace lanewise::cuda

extern "C" __global__ void conv_f32(const float* x, const float* w, const float* bias,
                                    const float* residual, float* y, lanewise::cuda::ConvShape p,
                                    long long elements) {
  lanewise::cuda::conv(x, w, bias, residual, y, p, elements);
}
extern "C" __global__ void conv_f16(const lanewise::cuda::Half* x, const lanewise::cuda::Half* w,
                                    const lanewise::cuda::Half* bias,
                                    const lanewise::cuda::Half* residual, lanewise::cuda::Half* y,
                                    lanewise::cuda::ConvShape p, long long elements) {
  lanewise::cuda::conv(x, w, bias, residual, y, p, elements);
}
extern "C" __global__ void conv_bf16(const lanewise::cuda::BFloat* x,
                                     const lanewise::cuda::BFloat* w,
                                     const lanewise::cuda::BFloat* bias,
                                     const lanewise::cuda::BFloat* residual,
                                     lanewise::cuda::BFloat* y, lanewise::cuda::ConvShape p,
                                     long long elements) {
  lanewise::cuda::conv(x, w, bias, residual, y, p, elements);
}
