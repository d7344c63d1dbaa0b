// Softmax and its logarithm: a block for each row, or a thread where rows lie across memory.
#include "norm.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {
namespace {

template <class T>
__device__ void rows(const SoftmaxCall& p) {
  for (unsigned r = blockIdx.x; r < p.outer; r += gridDim.x) {
    const T* x = static_cast<const T*>(p.x) + (long long)r * p.length;
    T* y = static_cast<T*>(p.y) + (long long)r * p.length;
    float largest = Largest::start();
    for (unsigned i = threadIdx.x; i < p.length; i += blockDim.x)
      largest = Largest::of(largest, widened(x[i]));
    largest = over_block<Largest>(largest);
    float sum = 0.0f;
    for (unsigned i = threadIdx.x; i < p.length; i += blockDim.x)
      sum += expf(widened(x[i]) - largest);
    sum = over_block<Add>(sum);
    const float factor = 1.0f / sum, log_sum = logf(sum);
    for (unsigned i = threadIdx.x; i < p.length; i += blockDim.x) {
      const float shifted = widened(x[i]) - largest;
      y[i] = narrowed<T>(p.log ? shifted - log_sum : expf(shifted) * factor);
    }
  }
}

template <class T>
__device__ void columns(const SoftmaxCall& p) {
  const unsigned inner = p.inner.divisor, count = p.outer * inner;
  for (unsigned r = first_index(); r < count; r += index_step()) {
    unsigned outer = r;
    const unsigned column = split(outer, p.inner);
    const long long first = (long long)outer * p.length * inner + column;
    const T* x = static_cast<const T*>(p.x) + first;
    T* y = static_cast<T*>(p.y) + first;
    float largest = Largest::start(), sum = 0.0f;
    for (unsigned i = 0; i < p.length; ++i)
      largest = Largest::of(largest, widened(x[(long long)i * inner]));
    for (unsigned i = 0; i < p.length; ++i) sum += expf(widened(x[(long long)i * inner]) - largest);
    const float factor = 1.0f / sum, log_sum = logf(sum);
    for (unsigned i = 0; i < p.length; ++i) {
      const float shifted = widened(x[(long long)i * inner]) - largest;
      y[(long long)i * inner] = narrowed<T>(p.log ? shifted - log_sum : expf(shifted) * factor);
    }
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void softmax_rows_f32(SoftmaxCall p) { rows<float>(p); }
extern "C" __global__ void softmax_rows_f16(SoftmaxCall p) { rows<Half>(p); }
extern "C" __global__ void softmax_rows_bf16(SoftmaxCall p) { rows<BFloat>(p); }
extern "C" __global__ void softmax_columns_f32(SoftmaxCall p) { columns<float>(p); }
extern "C" __global__ void softmax_columns_f16(SoftmaxCall p) { columns<Half>(p); }
extern "C" __global__ void softmax_columns_bf16(SoftmaxCall p) { columns<BFloat>(p); }
