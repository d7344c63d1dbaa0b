// Normalisation: of rows (LayerNorm, RMSNorm), of channels by their moments (InstanceNorm,
// GroupNorm) or by given numbers (BatchNorm), across channels (LRN).
#include "activation.cuh"
#include "norm.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {
namespace {

template <class T>
__device__ void row_norm(const RowNormCall& p) {
  const T* scale = static_cast<const T*>(p.scale);
  const T* bias = static_cast<const T*>(p.bias);
  for (unsigned r = blockIdx.x; r < p.rows; r += gridDim.x) {
    const T* x = static_cast<const T*>(p.x) + (long long)r * p.columns;
    T* y = static_cast<T*>(p.y) + (long long)r * p.columns;
    float mean = 0.0f, squares = 0.0f;
    if (!p.rms) {
      for (unsigned i = threadIdx.x; i < p.columns; i += blockDim.x) mean += widened(x[i]);
      mean = over_block<Add>(mean) / (float)p.columns;
    }
    for (unsigned i = threadIdx.x; i < p.columns; i += blockDim.x) {
      const float d = widened(x[i]) - mean;
      squares += d * d;
    }
    squares = over_block<Add>(squares) / (float)p.columns;
    const float inverse = 1.0f / sqrtf(squares + p.epsilon);
    for (unsigned i = threadIdx.x; i < p.columns; i += blockDim.x) {
      const float value = (widened(x[i]) - mean) * inverse * widened(scale[i]);
      y[i] = narrowed<T>(bias == nullptr ? value : value + widened(bias[i]));
    }
    if (threadIdx.x == 0 && p.mean != nullptr) static_cast<T*>(p.mean)[r] = narrowed<T>(mean);
    if (threadIdx.x == 0 && p.inverse != nullptr)
      static_cast<T*>(p.inverse)[r] = narrowed<T>(inverse);
  }
}

// The sum over the threads of a channel: those of equal x where channels are last, all otherwise.
__device__ float over_channel(float value, bool last) {
  __shared__ float parts[kMomentParts][kMomentLanes];
  parts[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  float sum = 0.0f;
  for (int i = 0; i < kMomentParts; ++i) {
    if (last) {
      sum += parts[i][threadIdx.x];
    } else {
      for (int j = 0; j < kMomentLanes; ++j) sum += parts[i][j];
    }
  }
  __syncthreads();
  return sum;
}

// Blocks: x over channels (by 32 where they are last), y over chunks, z over images. Two passes
// over the chunk, the second one from the cache: no difference of large sums.
template <class T>
__device__ void moments(const MomentsCall& p) {
  const bool last = p.planes.channels_last;
  const unsigned channels = p.planes.channels, pixels = p.planes.pixels;
  const unsigned channel = last ? blockIdx.x * kMomentLanes + threadIdx.x : blockIdx.x;
  const bool inside = channel < channels;
  const unsigned first = blockIdx.y * p.chunk;
  const unsigned end = first + p.chunk < pixels ? first + p.chunk : pixels;
  const unsigned lane = last ? threadIdx.y : threadIdx.y * kMomentLanes + threadIdx.x;
  const unsigned lanes = last ? kMomentParts : kMomentParts * kMomentLanes;
  const long long stride = last ? channels : 1;
  const T* x = static_cast<const T*>(p.x) + (long long)blockIdx.z * channels * pixels +
               (last ? (long long)channel : (long long)channel * pixels);
  float sum = 0.0f, squares = 0.0f;
  for (unsigned i = first + lane; inside && i < end; i += lanes) sum += widened(x[i * stride]);
  const float mean = over_channel(sum, last) / (float)(end - first);
  for (unsigned i = first + lane; inside && i < end; i += lanes) {
    const float d = widened(x[i * stride]) - mean;
    squares += d * d;
  }
  squares = over_channel(squares, last);
  if (!inside || lane != 0) return;
  float* to =
      p.partial + (((long long)blockIdx.z * channels + channel) * p.chunks + blockIdx.y) * 2;
  to[0] = mean;
  to[1] = squares;
}

// One thread per group and image joins the pieces (Chan, Golub & LeVeque 1983).
template <class T>
__device__ void factors(const FactorsCall& p) {
  const unsigned channels = p.planes.channels, per_group = channels / p.groups;
  for (unsigned g = first_index(); g < p.planes.images * p.groups; g += index_step()) {
    const unsigned group = g % p.groups;
    const float* partial = p.partial + (long long)g * per_group * p.chunks * 2;
    float count = 0.0f, mean = 0.0f, squares = 0.0f;
    for (unsigned i = 0; i < per_group * p.chunks; ++i) {
      const unsigned first = i % p.chunks * p.chunk;
      const unsigned left = p.planes.pixels - first;
      const float n = (float)(left < p.chunk ? left : p.chunk);
      const float delta = partial[2 * i] - mean;
      squares += partial[2 * i + 1] + delta * delta * (count / (count + n)) * n;
      count += n;
      mean += delta * (n / count);
    }
    const float inverse = 1.0f / sqrtf(squares / count + p.epsilon);
    for (unsigned c = 0; c < per_group; ++c) {
      const unsigned channel = group * per_group + c;
      const float factor = widened(static_cast<const T*>(p.scale)[channel]) * inverse;
      float* to = p.factors + ((long long)g * per_group + c) * 2;
      to[0] = factor;
      to[1] = widened(static_cast<const T*>(p.bias)[channel]) - mean * factor;
    }
  }
}

template <class T>
__device__ void scale_shift(const ScaleShiftCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned rest = i, channel = 0;
    if (p.channels_last) {
      channel = split(rest, p.channels);
      rest = divided(rest, p.pixels);
    } else {
      rest = divided(rest, p.pixels);
      channel = split(rest, p.channels);
    }
    const float* f = p.factors + 2ll * ((p.per_image ? rest * p.channels.divisor : 0) + channel);
    const float value = widened(static_cast<const T*>(p.x)[i]) * f[0] + f[1];
    static_cast<T*>(p.y)[i] = narrowed<T>(activated(value, p.function, p.alpha, p.beta));
  }
}

template <class T>
__device__ void lrn(const LrnCall& p) {
  const T* x = static_cast<const T*>(p.x);
  const int channels = (int)p.channels.divisor;
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned rest = divided(i, p.inner);
    const int channel = (int)split(rest, p.channels);
    const int low = channel > p.before ? -p.before : -channel;
    const int high = channel + p.after < channels ? p.after : channels - 1 - channel;
    float sum = 0.0f;
    for (int d = low; d <= high; ++d) {
      const float value = widened(x[(long long)i + (long long)d * p.inner.divisor]);
      sum += value * value;
    }
    const float base = p.bias + p.alpha * sum;
    const float divisor = p.beta == 0.75f ? sqrtf(base) * sqrtf(sqrtf(base)) : powf(base, p.beta);
    static_cast<T*>(p.y)[i] = narrowed<T>(widened(x[i]) / divisor);
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void row_norm_f32(RowNormCall p) { row_norm<float>(p); }
extern "C" __global__ void row_norm_f16(RowNormCall p) { row_norm<Half>(p); }
extern "C" __global__ void row_norm_bf16(RowNormCall p) { row_norm<BFloat>(p); }
extern "C" __global__ void moments_f32(MomentsCall p) { moments<float>(p); }
extern "C" __global__ void moments_f16(MomentsCall p) { moments<Half>(p); }
extern "C" __global__ void moments_bf16(MomentsCall p) { moments<BFloat>(p); }
extern "C" __global__ void factors_f32(FactorsCall p) { factors<float>(p); }
extern "C" __global__ void factors_f16(FactorsCall p) { factors<Half>(p); }
extern "C" __global__ void factors_bf16(FactorsCall p) { factors<BFloat>(p); }
extern "C" __global__ void scale_shift_f32(ScaleShiftCall p) { scale_shift<float>(p); }
extern "C" __global__ void scale_shift_f16(ScaleShiftCall p) { scale_shift<Half>(p); }
extern "C" __global__ void scale_shift_bf16(ScaleShiftCall p) { scale_shift<BFloat>(p); }
extern "C" __global__ void lrn_f32(LrnCall p) { lrn<float>(p); }
extern "C" __global__ void lrn_f16(LrnCall p) { lrn<Half>(p); }
extern "C" __global__ void lrn_bf16(LrnCall p) { lrn<BFloat>(p); }
