// isas: baseline avx2 avx512
// Recurrent cells and products in float32.
#include "engine/kernels/recurrent/recurrent.h"

#include "engine/kernels/recurrent/cells.inl"
#include "engine/simd/math.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

struct FloatLanes {
  using T = float;
  using V = F32;
  static constexpr int kLanes = lanewise::LANEWISE_ISA::kLanes;
  // 6 x 64 uses 24 of AVX-512's 32 registers, 6 x 2 vectors 12 of the 16 elsewhere.
  static constexpr int kPanelVectors = kLanes == 16 ? 4 : 2;
  static constexpr int kTileRows = 6;

  LANEWISE_INLINE V load(const T* p) { return lanewise::LANEWISE_ISA::load(p); }
  LANEWISE_INLINE V load(const T* p, int n) {
    return n == kLanes ? lanewise::LANEWISE_ISA::load(p) : load_first(p, n);
  }
  LANEWISE_INLINE void store(T* p, V v, int n) {
    if (n == kLanes) return lanewise::LANEWISE_ISA::store(p, v);
    store_first(p, v, n);
  }
  LANEWISE_INLINE V splat(T x) { return lanewise::LANEWISE_ISA::splat(x); }
  LANEWISE_INLINE T infinity() { return __builtin_inff(); }
  LANEWISE_INLINE V fma(V a, V b, V c) { return lanewise::LANEWISE_ISA::fma(a, b, c); }
  LANEWISE_INLINE V abs(V x) { return lanewise::LANEWISE_ISA::abs(x); }
  LANEWISE_INLINE V exp(V x) { return lanewise::LANEWISE_ISA::exp(x); }
  LANEWISE_INLINE V expm1(V x) { return lanewise::LANEWISE_ISA::expm1(x); }
  LANEWISE_INLINE V log1p(V x) { return log1p_positive(x); }
  LANEWISE_INLINE V tanh(V x) { return lanewise::LANEWISE_ISA::tanh(x); }
  LANEWISE_INLINE V sigmoid(V x) { return lanewise::LANEWISE_ISA::sigmoid(x); }
};

extern const kernels::Recurrent recurrent;
const kernels::Recurrent recurrent = {
    .panel = FloatLanes::kPanelVectors * FloatLanes::kLanes,
    .product = row_product<FloatLanes>,
    .lstm = lstm_row<FloatLanes>,
    .gru_reset = gru_reset_row<FloatLanes>,
    .gru_update = gru_update_row<FloatLanes>,
    .rnn = rnn_row<FloatLanes>,
};

}  // namespace lanewise::LANEWISE_ISA
