// Reductions along axes: a block for each result where the elements lie side by side, a thread for
// each of neighbouring results where those do.
#include "numbers.cuh"
#include "reduce.cuh"

namespace lanewise::cuda {
namespace {

__device__ long long place(const Dims& dims, const int* stride, unsigned i) {
  long long at = 0;
  for (int d = dims.rank - 1; d > 0; --d) at += (long long)split(i, dims.size[d]) * stride[d];
  return dims.rank == 0 ? 0 : at + (long long)i * stride[0];
}

__device__ float begin(Reduction kind) {
  switch (kind) {
    case Reduction::kMax: return Largest::start();
    case Reduction::kMin: return -Largest::start();
    case Reduction::kProduct: return 1.0f;
    default: return 0.0f;
  }
}

__device__ float joined(Reduction kind, float a, float b) {
  switch (kind) {
    case Reduction::kMax: return a > b || a != a ? a : b;
    case Reduction::kMin: return a < b || a != a ? a : b;
    case Reduction::kProduct: return a * b;
    default: return a + b;
  }
}

// What an element adds; `largest` is that of kLogSumExp.
__device__ float part(Reduction kind, float x, float largest) {
  switch (kind) {
    case Reduction::kSquares:
    case Reduction::kL2: return x * x;
    case Reduction::kL1: return fabsf(x);
    case Reduction::kLogSumExp: return expf(x - largest);
    default: return x;
  }
}

__device__ float finished(Reduction kind, float x, unsigned length, float largest) {
  switch (kind) {
    case Reduction::kMean: return x / (float)length;
    case Reduction::kL2: return sqrtf(x);
    case Reduction::kLogSum: return logf(x);
    case Reduction::kLogSumExp: return logf(x) + largest;
    default: return x;
  }
}

// Infinities are not subtracted from one another.
__device__ float shift_of(float largest) {
  return fabsf(largest) <= 3.4028235e38f ? largest : 0.0f;
}

template <class T>
__device__ void rows(const ReduceCall& p) {
  __shared__ float parts[1024];
  for (unsigned r = blockIdx.x; r < p.results; r += gridDim.x) {
    const T* x = static_cast<const T*>(p.x) + place(p.kept, p.kept_stride, r);
    float largest = 0.0f, value = 0.0f;
    for (int pass = p.kind == Reduction::kLogSumExp ? 0 : 1; pass < 2; ++pass) {
      const Reduction kind = pass == 0 ? Reduction::kMax : p.kind;
      value = begin(kind);
      for (unsigned i = threadIdx.x; i < p.length; i += blockDim.x)
        value = joined(kind, value,
                       part(kind, widened(x[place(p.reduced, p.reduced_stride, i)]), largest));
      parts[threadIdx.x] = value;
      for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
          parts[threadIdx.x] = joined(kind, parts[threadIdx.x], parts[threadIdx.x + half]);
      }
      __syncthreads();
      value = parts[0];
      __syncthreads();
      if (pass == 0) largest = shift_of(value);
    }
    if (threadIdx.x == 0)
      static_cast<T*>(p.y)[r] = narrowed<T>(finished(p.kind, value, p.length, largest));
  }
}

template <class T>
__device__ void columns(const ReduceCall& p) {
  __shared__ float parts[kReduceParts][kReduceColumns];
  const unsigned r = blockIdx.x * kReduceColumns + threadIdx.x;
  const bool inside = r < p.results;
  const T* x = static_cast<const T*>(p.x) + (inside ? place(p.kept, p.kept_stride, r) : 0);
  float largest = 0.0f, value = 0.0f;
  for (int pass = p.kind == Reduction::kLogSumExp ? 0 : 1; pass < 2; ++pass) {
    const Reduction kind = pass == 0 ? Reduction::kMax : p.kind;
    value = begin(kind);
    for (unsigned i = threadIdx.y; inside && i < p.length; i += kReduceParts)
      value = joined(kind, value,
                     part(kind, widened(x[place(p.reduced, p.reduced_stride, i)]), largest));
    parts[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    value = parts[0][threadIdx.x];
    for (int i = 1; i < kReduceParts; ++i) value = joined(kind, value, parts[i][threadIdx.x]);
    __syncthreads();
    if (pass == 0) largest = shift_of(value);
  }
  if (inside && threadIdx.y == 0)
    static_cast<T*>(p.y)[r] = narrowed<T>(finished(p.kind, value, p.length, largest));
}

template <class T>
__device__ void arg(const ArgCall& p) {
  for (unsigned r = first_index(); r < p.results; r += index_step()) {
    unsigned outer = r;
    const unsigned inner = split(outer, p.inner);
    const T* x = static_cast<const T*>(p.x) + (long long)outer * p.length * p.inner.divisor + inner;
    unsigned best = 0;
    float value = widened(x[0]);
    for (unsigned i = 1; i < p.length; ++i) {
      const float next = widened(x[(long long)i * p.inner.divisor]);
      const bool better = p.smallest ? next < value : next > value;
      if (better || (p.last && next == value)) {
        best = i;
        value = next;
      }
    }
    p.y[r] = best;
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void reduce_rows_f32(ReduceCall p) { rows<float>(p); }
extern "C" __global__ void reduce_rows_f16(ReduceCall p) { rows<Half>(p); }
extern "C" __global__ void reduce_rows_bf16(ReduceCall p) { rows<BFloat>(p); }
extern "C" __global__ void reduce_columns_f32(ReduceCall p) { columns<float>(p); }
extern "C" __global__ void reduce_columns_f16(ReduceCall p) { columns<Half>(p); }
extern "C" __global__ void reduce_columns_bf16(ReduceCall p) { columns<BFloat>(p); }
extern "C" __global__ void arg_f32(ArgCall p) { arg<float>(p); }
extern "C" __global__ void arg_f16(ArgCall p) { arg<Half>(p); }
extern "C" __global__ void arg_bf16(ArgCall p) { arg<BFloat>(p); }
