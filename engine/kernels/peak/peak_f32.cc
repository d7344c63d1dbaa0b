// isas: baseline avx2 avx512
// The peak of float32 multiply-adds and of reading memory, one thread. Timing is the caller's.
#include "engine/kernels/peak/peak.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

// Two FMA units with a latency of four cycles need eight chains; twelve leave slack and fit into
// sixteen registers with both constants.
constexpr int kChains = 12;

double fma_rounds(std::int64_t iterations) noexcept {
  F32 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = splat(static_cast<float>(i));
  // The fixed point is 1, so that no value grows, vanishes or becomes subnormal.
  const F32 a = splat(0.5f), b = splat(0.5f);
  for (std::int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = fma(sums[i], a, b);
  }
  // The compiler may not drop what assembly reads.
  for (int i = 0; i < kChains; ++i) asm volatile("" : : "m"(sums[i]));
  return static_cast<double>(iterations) * kChains * kLanes * 2;
}

float read_all(const float* data, std::int64_t n) noexcept {
  constexpr int kUnroll = 8;
  F32 sums[kUnroll] = {};
  std::int64_t i = 0;
  for (; i + kUnroll * kLanes <= n; i += kUnroll * kLanes) {
#pragma GCC unroll 8
    for (int j = 0; j < kUnroll; ++j) sums[j] += load(data + i + j * kLanes);
  }
  for (; i + kLanes <= n; i += kLanes) sums[0] += load(data + i);
  if (i < n) sums[1] += load_first(data + i, static_cast<int>(n - i));
  float total = 0.0f;
  for (int j = 0; j < kUnroll; ++j) {
    for (int lane = 0; lane < kLanes; ++lane) total += sums[j][lane];
  }
  return total;
}

}  // namespace

extern const kernels::PeakF32 peak_f32;
const kernels::PeakF32 peak_f32 = {.fma = fma_rounds, .read = read_all};

}  // namespace lanewise::LANEWISE_ISA
