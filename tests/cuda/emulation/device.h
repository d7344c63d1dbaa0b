// What NVRTC knows without any header, for g++: qualifiers, built-in variables, barriers, shuffles
// and atomics. Comes before a device source.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#define LANEWISE_EMULATION 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__
// Blocks of one thread of the process run one after the other.
#define __shared__ static thread_local
#define __constant__ static const
#define __launch_bounds__(...)

namespace lanewise::emulation {

struct Triple {
  unsigned x, y, z;
};

// What a thread waits for before it goes on.
void wait_for_block();
void wait_for_warp();
// 32 places that the threads of a warp hand values to one another in.
std::uint64_t* warp_slots();

inline unsigned lane();

template <class T>
T exchanged(T value, unsigned from) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t* slots = warp_slots();
  std::memcpy(&slots[lane()], &value, sizeof(T));
  wait_for_warp();
  T result;
  std::memcpy(&result, &slots[from & 31u], sizeof(T));
  wait_for_warp();
  return result;
}

}  // namespace lanewise::emulation

// Of plain type, so that reading one is no call.
extern __thread lanewise::emulation::Triple threadIdx, blockIdx, blockDim, gridDim;

inline unsigned lanewise::emulation::lane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31u;
}

inline void __syncthreads() { lanewise::emulation::wait_for_block(); }
inline void __syncwarp(unsigned = ~0u) { lanewise::emulation::wait_for_warp(); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return lanewise::emulation::exchanged(value,
                                        lanewise::emulation::lane() ^ static_cast<unsigned>(mask));
}
template <class T>
T __shfl_sync(unsigned, T value, int from) {
  return lanewise::emulation::exchanged(value, static_cast<unsigned>(from));
}
inline unsigned __ballot_sync(unsigned, int vote) {
  unsigned result = 0;
  for (unsigned i = 0; i < 32; ++i) {
    // Each lane's vote in turn; lanes that are gone left an old one, so that warps must be whole.
    if (lanewise::emulation::exchanged(vote, i) != 0) result |= 1u << i;
  }
  return result;
}

template <class T>
T atomicAdd(T* to, T value) {
  const T old = *to;
  *to = old + value;
  return old;
}
template <class T>
T atomicCAS(T* to, T expected, T value) {
  const T old = *to;
  if (old == expected) *to = value;
  return old;
}
template <class T>
T atomicExch(T* to, T value) {
  const T old = *to;
  *to = value;
  return old;
}

inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<std::uint64_t>(a) * b) >> 32);
}
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}
