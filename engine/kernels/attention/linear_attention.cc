// isas: baseline avx2 avx512
// Linear attention, a few vectors of columns at a time: columns of the state do not meet, and the
// sums over its rows run in the rows' order.
#include "engine/kernels/attention/attention.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::LinearToken;

// kVectors whole vectors, or one of `lanes` elements.
template <int kVectors, bool full>
LANEWISE_INLINE F32 get(const float* p, int i, int lanes) {
  return full ? load(p + i * kLanes) : load_first(p, lanes);
}
template <int kVectors, bool full>
LANEWISE_INLINE void put(float* p, int i, F32 v, int lanes) {
  if (full) {
    store(p + i * kLanes, v);
  } else {
    store_first(p, v, lanes);
  }
}

template <int kVectors, bool full>
void columns(const LinearToken& t, std::int64_t at, int lanes) noexcept {
  F32 u[kVectors];
  for (int i = 0; i < kVectors; ++i) u[i] = get<kVectors, full>(t.v + at, i, lanes);
  if (t.decay != nullptr || t.beta != nullptr) {
    F32 seen[kVectors] = {};
    for (std::int64_t d = 0; d < t.keys; ++d) {
      float* const row = t.state + d * t.stride + at;
      const F32 factor = splat(t.decay == nullptr ? 1.0f : t.decay[d * t.decay_step]);
      for (int i = 0; i < kVectors; ++i) {
        const F32 s = get<kVectors, full>(row, i, lanes) * factor;
        seen[i] = fma(s, splat(t.k[d]), seen[i]);
        put<kVectors, full>(row, i, s, lanes);
      }
    }
    for (int i = 0; i < kVectors && t.beta != nullptr; ++i) u[i] = (u[i] - seen[i]) * *t.beta;
  }
  for (std::int64_t d = 0; d < t.keys; ++d) {
    float* const row = t.state + d * t.stride + at;
    for (int i = 0; i < kVectors; ++i) {
      put<kVectors, full>(row, i, fma(splat(t.k[d]), u[i], get<kVectors, full>(row, i, lanes)),
                          lanes);
    }
  }
  for (std::int64_t h = 0; h < t.queries; ++h) {
    F32 sum[kVectors] = {};
    for (std::int64_t d = 0; d < t.keys; ++d) {
      const F32 q = splat(t.q[h * t.q_stride + d]);
      for (int i = 0; i < kVectors; ++i)
        sum[i] = fma(q, get<kVectors, full>(t.state + d * t.stride + at, i, lanes), sum[i]);
    }
    for (int i = 0; i < kVectors; ++i)
      put<kVectors, full>(t.out + h * t.out_stride + at, i, sum[i] * t.scale, lanes);
  }
}

void token(const LinearToken& t) noexcept {
  std::int64_t at = 0;
  for (; at + 4 * kLanes <= t.columns; at += 4 * kLanes) columns<4, true>(t, at, kLanes);
  for (; at + kLanes <= t.columns; at += kLanes) columns<1, true>(t, at, kLanes);
  if (at < t.columns) columns<1, false>(t, at, static_cast<int>(t.columns - at));
}

}  // namespace

extern const kernels::LinearAttention linear_attention;
const kernels::LinearAttention linear_attention = {token};

}  // namespace lanewise::LANEWISE_ISA
