// Convolution of channels-last activations without a library: depthwise ones, and those that cuDNN
// does not take. Weights lie [filter][taps...][channel of the group].
#include "activation.cuh"
#include "conv_shape.cuh"

using lanewise::cuda::ConvShape;

// One thread per output, channels fastest: neighbours read neighbouring channels.
extern "C" __global__ void conv_f32(const float* x, const float* w, const float* bias,
                                    const float* residual, float* y, ConvShape p,
                                    long long elements) {
  const int inner = p.channels / p.group, filters = p.outputs / p.group;
  const int taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
    const int k = (int)(i % p.outputs);
    long long rest = i / p.outputs;
    const int ox = (int)(rest % p.out[2]);
    rest /= p.out[2];
    const int oy = (int)(rest % p.out[1]);
    rest /= p.out[1];
    const int oz = (int)(rest % p.out[0]);
    const long long n = rest / p.out[0];
    const int first = k / filters * inner;
    const float* filter = w + (long long)k * taps * inner;
    float sum = 0.0f;
    for (int tz = 0; tz < p.kernel[0]; ++tz) {
      const int z = oz * p.stride[0] - p.pad[0] + tz * p.dilation[0];
      if (z < 0 || z >= p.in[0]) continue;
      for (int ty = 0; ty < p.kernel[1]; ++ty) {
        const int row = oy * p.stride[1] - p.pad[1] + ty * p.dilation[1];
        if (row < 0 || row >= p.in[1]) continue;
        for (int tx = 0; tx < p.kernel[2]; ++tx) {
          const int column = ox * p.stride[2] - p.pad[2] + tx * p.dilation[2];
          if (column < 0 || column >= p.in[2]) continue;
          const float* pixel =
              x + (((n * p.in[0] + z) * p.in[1] + row) * p.in[2] + column) * p.channels + first;
          const float* tap = filter + ((tz * p.kernel[1] + ty) * p.kernel[2] + tx) * inner;
          for (int c = 0; c < inner; ++c) sum += pixel[c] * tap[c];
        }
      }
    }
    if (bias != nullptr) sum += bias[k];
    if (residual != nullptr) sum += residual[i];
    y[i] = activated(sum, p.function, p.alpha, p.beta);
  }
}
