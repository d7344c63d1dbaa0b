// Interpolation along one axis at a time, and pooling of regions.
#include "numbers.cuh"
#include "resample.cuh"

namespace lanewise::cuda {
namespace {

template <class T>
__device__ void resample(const ResampleCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned outer = i;
    const unsigned inner = split(outer, p.inner), o = split(outer, p.out);
    const T* x = static_cast<const T*>(p.x) + (long long)outer * p.in * p.inner.divisor + inner;
    float sum = 0.0f;
    for (int t = 0; t < p.taps; ++t) {
      const long long at = (long long)o * p.taps + t;
      sum += p.weight[at] * widened(x[(long long)p.index[at] * p.inner.divisor]);
    }
    static_cast<T*>(p.y)[i] = narrowed<T>(sum);
  }
}

// First and one past the last of the rows (or columns) under one of `bins` bins.
__device__ void bin_range(int bin, int bins, int begin, int extent, int size, int& low, int& high) {
  const float step = (float)extent / (float)bins;
  low = min(max((int)floorf((float)bin * step) + begin, 0), size);
  high = min(max((int)ceilf((float)(bin + 1) * step) + begin, 0), size);
}

template <class T>
__device__ void roi_max(const RoiCall& p) {
  const int channels = (int)p.channels.divisor;
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned rest = i, c = 0;
    if (p.channels_last) c = split(rest, p.channels);
    const int px = (int)split(rest, p.pooled_width), py = (int)split(rest, p.pooled_height);
    if (!p.channels_last) c = split(rest, p.channels);
    const T* roi = static_cast<const T*>(p.rois) + (long long)rest * 5;
    int corner[4];
    for (int k = 0; k < 4; ++k) corner[k] = (int)roundf(widened(roi[k + 1]) * p.scale);
    int image = (int)widened(roi[0]);
    if (image < 0 || image >= p.images) {
      *p.check.fault = p.check.code;
      image = 0;
    }
    int left, right, top, bottom;
    bin_range(px, (int)p.pooled_width.divisor, corner[0], max(corner[2] - corner[0] + 1, 1),
              p.width, left, right);
    bin_range(py, (int)p.pooled_height.divisor, corner[1], max(corner[3] - corner[1] + 1, 1),
              p.height, top, bottom);
    const long long pixels = (long long)p.height * p.width;
    const T* x = static_cast<const T*>(p.x) + image * pixels * channels +
                 (p.channels_last ? (long long)c : (long long)c * pixels);
    const int pixel = p.channels_last ? channels : 1;
    const bool empty = bottom <= top || right <= left;
    float largest = empty ? 0.0f : Largest::start();
    for (int row = top; row < bottom; ++row) {
      for (int column = left; column < right; ++column) {
        const float value = widened(x[((long long)row * p.width + column) * pixel]);
        if (value > largest) largest = value;
      }
    }
    static_cast<T*>(p.y)[i] = narrowed<T>(largest);
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void resample_f32(ResampleCall p) { resample<float>(p); }
extern "C" __global__ void resample_f16(ResampleCall p) { resample<Half>(p); }
extern "C" __global__ void resample_bf16(ResampleCall p) { resample<BFloat>(p); }
extern "C" __global__ void roi_max_f32(RoiCall p) { roi_max<float>(p); }
extern "C" __global__ void roi_max_f16(RoiCall p) { roi_max<Half>(p); }
extern "C" __global__ void roi_max_bf16(RoiCall p) { roi_max<BFloat>(p); }
