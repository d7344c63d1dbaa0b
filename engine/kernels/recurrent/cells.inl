// The kernels of recurrent.h as templates over lanes: a policy `P` gives the number type T, the
// vector type V of `kLanes` of them, loads and stores of the first n lanes, and exp-like functions.
#pragma once

#include <cstdint>

#include "engine/kernels/recurrent/recurrent.h"

namespace lanewise::LANEWISE_ISA {

template <class P>
static inline typename P::V apply_gate(const kernels::GateFunction& f, typename P::T clip,
                                       typename P::V x) {
  using kernels::Gate;
  using T = typename P::T;
  const T alpha = f.alpha, beta = f.beta;
  x = x < -clip ? P::splat(-clip) : x;
  x = x > clip ? P::splat(clip) : x;
  switch (f.gate) {
    case Gate::kSigmoid: return P::sigmoid(x);
    case Gate::kTanh: return P::tanh(x);
    case Gate::kRelu: return x < T{0} ? P::splat(0) : x;
    case Gate::kAffine: return x * alpha + beta;
    case Gate::kLeakyRelu: return x < T{0} ? x * alpha : x;
    case Gate::kThresholdedRelu: return x < alpha ? P::splat(0) : x;
    case Gate::kScaledTanh: return P::tanh(x * beta) * alpha;
    case Gate::kHardSigmoid: {
      x = x * alpha + beta;
      x = x < T{0} ? P::splat(0) : x;
      return x > T{1} ? P::splat(1) : x;
    }
    case Gate::kElu: return x < T{0} ? P::expm1(x) * alpha : x;
    case Gate::kSoftsign: return x / (P::abs(x) + T{1});
    case Gate::kSoftplus: return (x > T{0} ? x : P::splat(0)) + P::log1p(P::exp(-P::abs(x)));
  }
  return x;
}

// Calls f(i, n) for each vector of [0, hidden): lanes i to i + n.
template <class P, class F>
static inline __attribute__((always_inline)) void for_lanes(std::int64_t hidden, F&& f) {
  std::int64_t i = 0;
  for (; i + P::kLanes <= hidden; i += P::kLanes) f(i, P::kLanes);
  if (i < hidden) f(i, static_cast<int>(hidden - i));
}

// Out of line, so that the switch's branches exist once.
template <class P>
static __attribute__((noinline)) void activate_row(const kernels::GateFunction& f,
                                                   typename P::T clip, std::int64_t n,
                                                   const typename P::T* x, typename P::T* y) {
  for_lanes<P>(n, [&](std::int64_t i, int lanes) {
    P::store(y + i, apply_gate<P>(f, clip, P::load(x + i, lanes)), lanes);
  });
}

// y += a * b
template <class P>
static void multiply_add(std::int64_t n, const typename P::T* a, const typename P::T* b,
                         typename P::T* y) {
  for_lanes<P>(n, [&](std::int64_t i, int lanes) {
    P::store(y + i, P::load(y + i, lanes) + P::load(a + i, lanes) * P::load(b + i, lanes), lanes);
  });
}

template <class P>
static void lstm_row(const kernels::LstmRow<typename P::T>& row) {
  using T = typename P::T;
  using V = typename P::V;
  const std::int64_t n = row.hidden;
  T* const in = row.gates;
  T* const out = in + n;
  T* const forget = out + n;
  T* const cell = forget + n;
  if (row.peepholes != nullptr) {
    multiply_add<P>(n, row.peepholes, row.c, in);
    multiply_add<P>(n, row.peepholes + 2 * n, row.c, forget);
  }
  activate_row<P>(row.functions[0], row.clip, n, in, in);
  if (!row.coupled) activate_row<P>(row.functions[0], row.clip, n, forget, forget);
  activate_row<P>(row.functions[1], row.clip, n, cell, cell);
  for_lanes<P>(n, [&](std::int64_t i, int lanes) {
    const V gate = P::load(in + i, lanes);
    const V keep = row.coupled ? P::splat(1) - gate : P::load(forget + i, lanes);
    P::store(row.c + i, keep * P::load(row.c + i, lanes) + gate * P::load(cell + i, lanes), lanes);
  });
  if (row.peepholes != nullptr) multiply_add<P>(n, row.peepholes + n, row.c, out);
  activate_row<P>(row.functions[0], row.clip, n, out, out);
  // The cell state itself is not clipped: only sums of gates are.
  activate_row<P>(row.functions[2], P::infinity(), n, row.c, row.h);
  for_lanes<P>(n, [&](std::int64_t i, int lanes) {
    P::store(row.h + i, P::load(row.h + i, lanes) * P::load(out + i, lanes), lanes);
  });
}

template <class P>
static void gru_reset_row(const kernels::GruRow<typename P::T>& row) {
  using T = typename P::T;
  const std::int64_t n = row.hidden;
  activate_row<P>(row.functions[0], row.clip, 2 * n, row.gates, row.gates);
  const T* const r = row.gates + n;
  if (row.linear_before_reset) {
    multiply_add<P>(n, r, row.reset, row.gates + 2 * n);
    return;
  }
  for_lanes<P>(n, [&](std::int64_t i, int lanes) {
    P::store(row.reset + i, P::load(r + i, lanes) * P::load(row.h + i, lanes), lanes);
  });
}

template <class P>
static void gru_update_row(const kernels::GruRow<typename P::T>& row) {
  using T = typename P::T;
  using V = typename P::V;
  const std::int64_t n = row.hidden;
  T* const hidden = row.gates + 2 * n;
  activate_row<P>(row.functions[1], row.clip, n, hidden, hidden);
  for_lanes<P>(n, [&](std::int64_t i, int lanes) {
    const V z = P::load(row.gates + i, lanes);
    const V next = (P::splat(1) - z) * P::load(hidden + i, lanes) + z * P::load(row.h + i, lanes);
    P::store(row.h + i, next, lanes);
  });
}

template <class P>
static void rnn_row(kernels::GateFunction f, typename P::T clip, std::int64_t hidden,
                    const typename P::T* sums, typename P::T* h) {
  activate_row<P>(f, clip, hidden, sums, h);
}

// kRows rows by kPanels whole panels (the last may be cut at `columns`), accumulators in registers.
template <class P, int kRows, int kPanels>
static inline void product_tile(const kernels::RowProduct<typename P::T>& p, std::int64_t row,
                                std::int64_t column) {
  using T = typename P::T;
  using V = typename P::V;
  constexpr int kVectors = kPanels * P::kPanelVectors;
  constexpr int kPanel = P::kPanelVectors * P::kLanes;
  V sum[kRows][kVectors];
  int lanes[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t left = p.columns - (column + v * P::kLanes);
    lanes[v] = left >= P::kLanes ? P::kLanes : left > 0 ? static_cast<int>(left) : 0;
    for (int r = 0; r < kRows; ++r) {
      const T* from = p.bias != nullptr ? p.bias : p.out + (row + r) * p.out_stride;
      sum[r][v] = lanes[v] == 0 ? P::splat(0) : P::load(from + column + v * P::kLanes, lanes[v]);
    }
  }
  const T* weights = p.packed + column * p.depth;
  const T* a = p.a + row * p.a_stride;
  for (std::int64_t i = 0; i < p.depth; ++i) {
    V w[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      w[v] = P::load(weights + (v / P::kPanelVectors) * (p.depth * kPanel) + i * kPanel +
                     (v % P::kPanelVectors) * P::kLanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const V x = P::splat(a[r * p.a_stride + i]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = P::fma(x, w[v], sum[r][v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    if (lanes[v] == 0) continue;
    for (int r = 0; r < kRows; ++r) {
      P::store(p.out + (row + r) * p.out_stride + column + v * P::kLanes, sum[r][v], lanes[v]);
    }
  }
}

template <class P>
static void row_product(const kernels::RowProduct<typename P::T>& p) {
  constexpr int kPanel = P::kPanelVectors * P::kLanes;
  std::int64_t row = 0;
  for (; row + P::kTileRows <= p.rows; row += P::kTileRows) {
    for (std::int64_t j = 0; j < p.columns; j += kPanel)
      product_tile<P, P::kTileRows, 1>(p, row, j);
  }
  for (; row + 2 <= p.rows; row += 2) {
    for (std::int64_t j = 0; j < p.columns; j += kPanel) product_tile<P, 2, 1>(p, row, j);
  }
  if (row < p.rows) {  // several panels at once keep enough sums in flight
    std::int64_t j = 0;
    for (; j + 3 * kPanel < p.columns; j += 4 * kPanel) product_tile<P, 1, 4>(p, row, j);
    for (; j < p.columns; j += kPanel) product_tile<P, 1, 1>(p, row, j);
  }
}

}  // namespace lanewise::LANEWISE_ISA
