// Element types on the device: halves as storage, computed in float; index arithmetic; sums over
// the threads of a block.
#pragma once

#include "shared.cuh"

#ifdef LANEWISE_EMULATION
#include "engine/base/half.h"
#endif

namespace lanewise::cuda {

struct Half {
  unsigned short bits;
};
struct BFloat {
  unsigned short bits;
};

static __device__ inline float widened(float x) { return x; }
static __device__ inline float widened(Half x) {
#ifdef LANEWISE_EMULATION
  return half_to_float(x.bits);
#else
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#endif
}
static __device__ inline float widened(BFloat x) { return __uint_as_float((unsigned)x.bits << 16); }

template <class T>
struct Narrow;
template <>
struct Narrow<float> {
  static __device__ float of(float x) { return x; }
};
template <>
struct Narrow<Half> {
  static __device__ Half of(float x) {
    Half result;
#ifdef LANEWISE_EMULATION
    result.bits = float_to_half(x);
#else
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
#endif
    return result;
  }
};
template <>
struct Narrow<BFloat> {
  static __device__ BFloat of(float x) {  // by hand: sm_75 has no instruction for it
    const unsigned bits = __float_as_uint(x);
    BFloat result;
    result.bits = (bits & 0x7fffffffu) > 0x7f800000u
                      ? (unsigned short)((bits >> 16) | 0x40u)
                      : (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    return result;
  }
};

template <class T>
static __device__ inline T narrowed(float x) {
  return Narrow<T>::of(x);
}

static __device__ inline unsigned divided(unsigned n, const Divisor& d) {
  return (unsigned)(((unsigned long long)__umulhi(n, d.factor) + n) >> d.shift);
}

// Takes the innermost dimension off an index.
static __device__ inline unsigned split(unsigned& index, const Divisor& d) {
  const unsigned rest = divided(index, d), inner = index - rest * d.divisor;
  index = rest;
  return inner;
}

// The thread's number in the grid, and the number of threads, for loops with the grid's stride.
static __device__ inline unsigned first_index() { return blockIdx.x * blockDim.x + threadIdx.x; }
static __device__ inline unsigned index_step() { return gridDim.x * blockDim.x; }

struct Add {
  static __device__ float start() { return 0.0f; }
  static __device__ float of(float a, float b) { return a + b; }
};
// A NaN on either side wins.
struct Largest {
  static __device__ float start() { return __int_as_float(0xff800000); }
  static __device__ float of(float a, float b) { return a > b || a != a ? a : b; }
};

// The combination over a block of whole warps; every thread gets it. All threads must call.
template <class Combine>
static __device__ float over_block(float x) {
  __shared__ float parts[32];
  for (int mask = 16; mask > 0; mask /= 2) x = Combine::of(x, __shfl_xor_sync(~0u, x, mask));
  const unsigned warps = blockDim.x / 32;
  if (warps == 1) return x;
  __syncthreads();  // an earlier call's parts have been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = threadIdx.x % 32 < warps ? parts[threadIdx.x % 32] : Combine::start();
  for (int mask = 16; mask > 0; mask /= 2) x = Combine::of(x, __shfl_xor_sync(~0u, x, mask));
  return x;
}

}  // namespace lanewise::cuda
