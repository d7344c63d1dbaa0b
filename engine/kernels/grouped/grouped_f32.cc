// isas: baseline avx2 avx512
// The float32 tiles of group convolution: each input vector is permuted once per channel of a
// group, so that every lane meets the channels of its own group.
#include "engine/kernels/grouped/grouped.h"
#include "engine/simd/activation.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Activation;
using kernels::Epilogue;
using kernels::GroupedF32;
using kernels::GroupedTile;

// Out of line: the code of all activations is not repeated in each tile.
__attribute__((noinline)) F32 activate_other(const Epilogue& e, F32 v) noexcept {
  return activate(e.activation, v, splat(e.alpha), splat(e.beta));
}

LANEWISE_INLINE F32 activate_one(const Epilogue& e, F32 v) {
  if (e.activation == Activation::kNone) return v;
  if (e.activation == Activation::kRelu) return activate<Activation::kRelu>(v, F32{}, F32{});
  return activate_other(e, v);
}

template <bool full>
LANEWISE_INLINE F32 load_columns(const float* p, int n) {
  return full ? load(p) : load_first(p, n);
}

template <int kGroup, int kRows, bool full>
LANEWISE_INLINE void sum_tile(const GroupedTile& t) {
  I32 index[kGroup];
  for (int lane = 0; lane < kLanes; ++lane) {
#pragma GCC unroll 16
    for (int i = 0; i < kGroup; ++i) index[i][lane] = lane / kGroup * kGroup + i;
  }
  F32 sums[kRows];
  const F32 bias =
      t.epilogue.bias == nullptr ? F32{} : load_columns<full>(t.epilogue.bias, t.columns);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sums[r] = bias;
  const float* weights = t.weights;
  const float* const* rows = t.rows;
  for (std::int64_t tap = 0; tap < t.taps; ++tap, rows += t.row_step, weights += kGroup * kLanes) {
    F32 filter[kGroup];
#pragma GCC unroll 16
    for (int i = 0; i < kGroup; ++i) filter[i] = load(weights + i * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const F32 x = load_columns<full>(rows[r] + t.offset, t.columns);
#pragma GCC unroll 16
      for (int i = 0; i < kGroup; ++i) sums[r] = fma(permute(x, index[i]), filter[i], sums[r]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    F32 v = sums[r];
    if (t.epilogue.residual != nullptr) {
      v += load_columns<full>(t.epilogue.residual + r * t.epilogue.residual_stride, t.columns);
    }
    v = activate_one(t.epilogue, v);
    float* c = t.c + r * t.ldc;
    if (full) {
      store(c, v);
    } else {
      store_first(c, v, t.columns);
    }
  }
}

template <int kGroup, int kRows>
void tile(const GroupedTile& t) noexcept {
  if (t.columns == kLanes) {
    sum_tile<kGroup, kRows, true>(t);
  } else {
    sum_tile<kGroup, kRows, false>(t);
  }
}

}  // namespace

#define LANEWISE_ROW(group) {tile<group, 1>, tile<group, 4>, tile<group, GroupedF32::kMaxRows>}
extern const GroupedF32 grouped_f32;
const GroupedF32 grouped_f32 = {.lanes = kLanes,
                                .tiles = {
                                    LANEWISE_ROW(2),
#if defined(LANEWISE_ISA_AVX2) || defined(LANEWISE_ISA_AVX512)
                                    LANEWISE_ROW(4),
#endif
#if defined(LANEWISE_ISA_AVX512)
                                    LANEWISE_ROW(8),
#endif
                                }};
#undef LANEWISE_ROW

}  // namespace lanewise::LANEWISE_ISA
