// Pooling: one thread per result, channels fastest where they are last.
#include "numbers.cuh"
#include "pool.cuh"

namespace lanewise::cuda {
namespace {

// Taps of a window that lie in [low, high).
__device__ int counted(int start, int kernel, int dilation, int low, int high) {
  int count = 0;
  for (int k = 0; k < kernel; ++k) {
    const int at = start + k * dilation;
    count += at >= low && at < high;
  }
  return count;
}

struct Under {
  float value;
  long long where;
};

// Combines what lies under the window that begins at `start`; x is the image's channel.
template <class T>
__device__ Under window(const PoolCall& p, const T* x, int pixel, const int* start) {
  Under u = {p.kind == PoolKind::kMax ? Largest::start() : 0.0f, -1};
  for (int kz = 0; kz < p.kernel[0]; ++kz) {
    const int z = start[0] + kz * p.dilation[0];
    if (z < 0 || z >= p.in[0]) continue;
    for (int ky = 0; ky < p.kernel[1]; ++ky) {
      const int row = start[1] + ky * p.dilation[1];
      if (row < 0 || row >= p.in[1]) continue;
      for (int kx = 0; kx < p.kernel[2]; ++kx) {
        const int column = start[2] + kx * p.dilation[2];
        if (column < 0 || column >= p.in[2]) continue;
        const long long at = ((long long)z * p.in[1] + row) * p.in[2] + column;
        const float value = widened(x[at * pixel]);
        if (p.kind == PoolKind::kMax) {
          if (value > u.value || u.where < 0) u.where = at;
          if (value > u.value) u.value = value;
        } else if (p.kind == PoolKind::kMean) {
          u.value += value;
        } else {
          u.value += p.p == 1   ? fabsf(value)
                     : p.p == 2 ? value * value
                                : powf(fabsf(value), (float)p.p);
        }
      }
    }
  }
  return u;
}

template <class T>
__device__ void pool(const PoolCall& p) {
  const long long pixels = (long long)p.in[0] * p.in[1] * p.in[2];
  const int channels = (int)p.channels.divisor;
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned rest = i, c = 0;
    int start[3];
    if (p.channels_last) c = split(rest, p.channels);
    for (int d = 2; d >= 0; --d) start[d] = (int)split(rest, p.out[d]) * p.stride[d] - p.pad[d];
    if (!p.channels_last) c = split(rest, p.channels);
    const long long image = rest, plane = image * channels + c;
    const T* x = static_cast<const T*>(p.x) +
                 (p.channels_last ? image * pixels * channels + c : plane * pixels);
    const Under u = window<T>(p, x, p.channels_last ? channels : 1, start);
    float value = u.value;
    if (p.kind == PoolKind::kMean) {
      int count = 1;
      for (int d = 0; d < 3; ++d) {
        const int low = p.counts_padding ? -p.pad[d] : 0;
        const int high = p.in[d] + (p.counts_padding ? p.pad_end[d] : 0);
        count *= counted(start[d], p.kernel[d], p.dilation[d], low, high);
      }
      value /= (float)(count > 1 ? count : 1);
    } else if (p.kind == PoolKind::kLp && p.p > 1) {
      value = p.p == 2 ? sqrtf(value) : powf(value, 1.0f / (float)p.p);
    }
    static_cast<T*>(p.y)[i] = narrowed<T>(value);
    if (p.where != nullptr) p.where[i] = plane * pixels + u.where;
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void pool_f32(PoolCall p) { pool<float>(p); }
extern "C" __global__ void pool_f16(PoolCall p) { pool<Half>(p); }
extern "C" __global__ void pool_bf16(PoolCall p) { pool<BFloat>(p); }
