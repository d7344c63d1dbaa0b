// isas: baseline
// Recurrent cells and products in float64, one lane at a time: for exactness, not for speed.
#include <cmath>

#include "engine/kernels/recurrent/cells.inl"
#include "engine/kernels/recurrent/recurrent.h"

namespace lanewise::LANEWISE_ISA {

struct DoubleLane {
  using T = double;
  using V = double;
  static constexpr int kLanes = 1;
  static constexpr int kPanelVectors = 8;
  static constexpr int kTileRows = 4;

  static V load(const T* p) { return *p; }
  static V load(const T* p, int) { return *p; }
  static void store(T* p, V v, int) { *p = v; }
  static V splat(T x) { return x; }
  static T infinity() { return __builtin_inf(); }
  static V fma(V a, V b, V c) { return a * b + c; }
  static V abs(V x) { return ::fabs(x); }
  static V exp(V x) { return ::exp(x); }
  static V expm1(V x) { return ::expm1(x); }
  static V log1p(V x) { return ::log1p(x); }
  static V tanh(V x) { return ::tanh(x); }
  static V sigmoid(V x) {
    const double e = ::exp(-::fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
  }
};

extern const kernels::Recurrent64 recurrent64;
const kernels::Recurrent64 recurrent64 = {
    .panel = DoubleLane::kPanelVectors * DoubleLane::kLanes,
    .product = row_product<DoubleLane>,
    .lstm = lstm_row<DoubleLane>,
    .gru_reset = gru_reset_row<DoubleLane>,
    .gru_update = gru_update_row<DoubleLane>,
    .rnn = rnn_row<DoubleLane>,
};

}  // namespace lanewise::LANEWISE_ISA
