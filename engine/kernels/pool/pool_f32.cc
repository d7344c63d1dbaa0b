// isas: baseline avx2 avx512
// Pooling of float32, vectors along the channels: each output pixel folds its taps in registers,
// up to four vectors of channels at a time.
#include "engine/kernels/pool/pool.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using Row = kernels::PoolRow<float>;

struct Max {
  static constexpr float kStart = -__builtin_inff();
  LANEWISE_INLINE F32 add(F32 sum, F32 x) { return max(x, sum); }
  LANEWISE_INLINE F32 finish(F32 sum, F32) { return sum; }
};
struct Mean {
  static constexpr float kStart = 0.0f;
  LANEWISE_INLINE F32 add(F32 sum, F32 x) { return sum + x; }
  LANEWISE_INLINE F32 finish(F32 sum, F32 scale) { return sum * scale; }
};
struct L1 {
  static constexpr float kStart = 0.0f;
  LANEWISE_INLINE F32 add(F32 sum, F32 x) { return sum + max(x, -x); }
  LANEWISE_INLINE F32 finish(F32 sum, F32) { return sum; }
};
struct L2 {
  static constexpr float kStart = 0.0f;
  LANEWISE_INLINE F32 add(F32 sum, F32 x) { return fma(x, x, sum); }
  LANEWISE_INLINE F32 finish(F32 sum, F32) {
    for (int i = 0; i < kLanes; ++i) sum[i] = __builtin_sqrtf(sum[i]);
    return sum;
  }
};

// `vectors` vectors of channels of one output pixel; the last one has `lanes` channels.
template <class Fold, int vectors>
LANEWISE_INLINE void pool_block(const Row& r, const float* in, kernels::TapRange taps, F32 scale,
                                float* out, int lanes) {
  F32 sum[vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) sum[v] = splat(Fold::kStart);
  const std::int64_t step = r.dilation * r.channels;
  for (std::int64_t i = 0; i < r.row_count; ++i) {
    const float* x = in + r.rows[i] * r.width * r.channels;
    for (std::int64_t k = taps.first; k < taps.last; ++k, x += step) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors - 1; ++v) sum[v] = Fold::add(sum[v], load(x + v * kLanes));
      const float* end = x + (vectors - 1) * kLanes;
      const F32 tail = lanes == kLanes ? load(end) : load_first(end, lanes);
      sum[vectors - 1] = Fold::add(sum[vectors - 1], tail);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors - 1; ++v) store(out + v * kLanes, Fold::finish(sum[v], scale));
  const F32 last = Fold::finish(sum[vectors - 1], scale);
  if (lanes == kLanes) {
    store(out + (vectors - 1) * kLanes, last);
  } else {
    store_first(out + (vectors - 1) * kLanes, last, lanes);
  }
}

template <class Fold>
void pool_row(const Row& r) noexcept {
  for (std::int64_t o = 0; o < r.out_width; ++o) {
    const std::int64_t start = o * r.stride - r.pad;
    const auto taps = kernels::tap_range(start, r.kernel, r.dilation, 0, r.width);
    const auto counted =
        kernels::tap_range(start, r.kernel, r.dilation, r.counted_begin, r.counted_end);
    const std::int64_t count = r.counted_rows * (counted.last - counted.first);
    const F32 scale = splat(1.0f / static_cast<float>(count < 1 ? 1 : count));
    const float* in = r.in + (start + taps.first * r.dilation) * r.channels;
    float* out = r.out + o * r.channels;
    std::int64_t c = 0;
    for (; c + 4 * kLanes <= r.channels; c += 4 * kLanes) {
      pool_block<Fold, 4>(r, in + c, taps, scale, out + c, kLanes);
    }
    for (; c + kLanes <= r.channels; c += kLanes) {
      pool_block<Fold, 1>(r, in + c, taps, scale, out + c, kLanes);
    }
    if (c < r.channels) {
      pool_block<Fold, 1>(r, in + c, taps, scale, out + c, static_cast<int>(r.channels - c));
    }
  }
}

}  // namespace

extern const kernels::PoolF32 pool_f32;
const kernels::PoolF32 pool_f32 = {pool_row<Max>, pool_row<Mean>, pool_row<L1>, pool_row<L2>};

}  // namespace lanewise::LANEWISE_ISA
