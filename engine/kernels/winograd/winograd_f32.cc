// isas: baseline avx2 avx512
// Winograd transforms of float32 tiles. Each is two passes of a one-dimensional transform, columns
// then rows, through a small array that stays in L1: a whole tile does not fit the registers.
#include "engine/kernels/winograd/winograd.h"
#include "engine/simd/activation.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Activation;
using kernels::WinogradInput;
using kernels::WinogradOutput;
using kernels::WinogradPoints;

template <int tile>
struct Transform;

// F(2, 3): points 0, 1, -1, infinity.
template <>
struct Transform<2> {
  LANEWISE_INLINE void input(const F32 (&d)[4], F32 (&t)[4]) {
    t[0] = d[2] - d[0];
    t[1] = d[2] + d[1];
    t[2] = d[2] - d[1];
    t[3] = d[3] - d[1];
  }
  LANEWISE_INLINE void output(const F32 (&m)[4], F32 (&y)[2]) {
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) + m[3];
  }
};

// F(4, 3): points 0, a, -a, b, -b, infinity.
template <>
struct Transform<4> {
  static constexpr double a = WinogradPoints::kNear, b = WinogradPoints::kFar;
  static constexpr double aa = a * a, bb = b * b;

  LANEWISE_INLINE F32 constant(double x) { return splat(static_cast<float>(x)); }

  LANEWISE_INLINE void input(const F32 (&d)[6], F32 (&t)[6]) {
    t[0] = fma(constant(aa * bb), d[0], fma(constant(-aa - bb), d[2], d[4]));
    t[5] = fma(constant(aa * bb), d[1], fma(constant(-aa - bb), d[3], d[5]));
    const F32 even_a = fma(constant(-bb), d[2], d[4]), odd_a = fma(constant(-bb), d[1], d[3]);
    t[1] = fma(constant(a), odd_a, even_a);
    t[2] = fma(constant(-a), odd_a, even_a);
    const F32 even_b = fma(constant(-aa), d[2], d[4]), odd_b = fma(constant(-aa), d[1], d[3]);
    t[3] = fma(constant(b), odd_b, even_b);
    t[4] = fma(constant(-b), odd_b, even_b);
  }
  LANEWISE_INLINE void output(const F32 (&m)[6], F32 (&y)[4]) {
    const F32 even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const F32 even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + (even_a + even_b);
    y[1] = fma(constant(a), odd_a, constant(b) * odd_b);
    y[2] = fma(constant(aa), even_a, constant(bb) * even_b);
    y[3] = fma(constant(aa * a), odd_a, fma(constant(bb * b), odd_b, m[5]));
  }
};

// One vector of channels of a tile; with `inside`, all of the tile lies in the image.
template <int tile, bool inside>
LANEWISE_INLINE void input_vector(const WinogradInput& w, const float* in, float* out, int lanes) {
  constexpr int kSize = tile + 2;
  F32 stage[kSize][kSize];
#pragma GCC unroll 6
  for (int x = 0; x < kSize; ++x) {
    F32 d[kSize], t[kSize];
    const bool column = inside || (x >= w.column_begin && x < w.column_end);
#pragma GCC unroll 6
    for (int y = 0; y < kSize; ++y) {
      const bool pixel = inside || (column && y >= w.row_begin && y < w.row_end);
      const float* p = in + y * w.row_step + x * w.column_step;
      d[y] = !pixel ? F32{} : lanes == kLanes ? load(p) : load_first(p, lanes);
    }
    Transform<tile>::input(d, t);
#pragma GCC unroll 6
    for (int f = 0; f < kSize; ++f) stage[f][x] = t[f];
  }
#pragma GCC unroll 6
  for (int f = 0; f < kSize; ++f) {
    F32 t[kSize];
    Transform<tile>::input(stage[f], t);
#pragma GCC unroll 6
    for (int g = 0; g < kSize; ++g) store(out + (f * kSize + g) * w.frequency_step, t[g]);
  }
}

template <int tile, bool inside>
void input_tile(const WinogradInput& w) noexcept {
  std::int64_t c = 0;
  for (; c + kLanes <= w.channels; c += kLanes)
    input_vector<tile, inside>(w, w.in + c, w.out + c, kLanes);
  if (c < w.channels)
    input_vector<tile, inside>(w, w.in + c, w.out + c, static_cast<int>(w.channels - c));
}

template <int tile>
void input(const WinogradInput& w) noexcept {
  constexpr int kSize = tile + 2;
  const bool inside =
      w.row_begin == 0 && w.row_end == kSize && w.column_begin == 0 && w.column_end == kSize;
  if (inside) {
    input_tile<tile, true>(w);
  } else {
    input_tile<tile, false>(w);
  }
}

// One vector of channels; with `whole`, all outputs of the tile lie in the image.
template <int tile, bool whole>
LANEWISE_INLINE void output_vector(const WinogradOutput& w, F32 low, F32 high, std::int64_t c,
                                   int lanes) {
  constexpr int kSize = tile + 2;
  F32 stage[tile][kSize];
  const float* in = w.in + c;
#pragma GCC unroll 6
  for (int g = 0; g < kSize; ++g) {
    F32 m[kSize], t[tile];
#pragma GCC unroll 6
    for (int f = 0; f < kSize; ++f) m[f] = load(in + (f * kSize + g) * w.frequency_step);
    Transform<tile>::output(m, t);
#pragma GCC unroll 6
    for (int y = 0; y < tile; ++y) stage[y][g] = t[y];
  }
  F32 bias{};
  if (w.epilogue.bias != nullptr) {
    bias = lanes == kLanes ? load(w.epilogue.bias + c) : load_first(w.epilogue.bias + c, lanes);
  }
#pragma GCC unroll 6
  for (int y = 0; y < tile; ++y) {
    if (!whole && y >= w.rows) break;
    F32 v[tile];
    Transform<tile>::output(stage[y], v);
#pragma GCC unroll 6
    for (int x = 0; x < tile; ++x) {
      if (!whole && x >= w.columns) break;
      const std::int64_t at = y * w.row_step + x * w.column_step + c;
      v[x] += bias;
      if (w.epilogue.residual != nullptr) {
        const float* residual = w.epilogue.residual + at;
        v[x] += lanes == kLanes ? load(residual) : load_first(residual, lanes);
      }
      v[x] = min(high, max(low, v[x]));
      if (lanes == kLanes)
        store(w.out + at, v[x]);
      else
        store_first(w.out + at, v[x], lanes);
    }
  }
}

template <int tile, bool whole>
void output_tile(const WinogradOutput& w, F32 low, F32 high) noexcept {
  std::int64_t c = 0;
  for (; c + kLanes <= w.channels; c += kLanes) output_vector<tile, whole>(w, low, high, c, kLanes);
  if (c < w.channels) output_vector<tile, whole>(w, low, high, c, static_cast<int>(w.channels - c));
}

// Activations that are more than a clamp run over the stored tile, which is still in L1.
__attribute__((noinline)) void activate_tile(const WinogradOutput& w) noexcept {
  const F32 alpha = splat(w.epilogue.alpha), beta = splat(w.epilogue.beta);
  for (int i = 0; i < w.rows * w.columns; ++i) {
    float* out = w.out + i / w.columns * w.row_step + i % w.columns * w.column_step;
    std::int64_t c = 0;
    for (; c + kLanes <= w.channels; c += kLanes) {
      store(out + c, activate(w.epilogue.activation, load(out + c), alpha, beta));
    }
    const int rest = static_cast<int>(w.channels - c);
    if (rest > 0) {
      store_first(out + c, activate(w.epilogue.activation, load_first(out + c, rest), alpha, beta),
                  rest);
    }
  }
}

template <int tile>
void output(const WinogradOutput& w) noexcept {
  const Activation activation = w.epilogue.activation;
  F32 low = splat(-__builtin_inff()), high = splat(__builtin_inff());
  if (activation == Activation::kRelu) low = F32{};
  if (activation == Activation::kClip) {
    low = splat(w.epilogue.alpha);
    high = splat(w.epilogue.beta);
  }
  if (w.rows == tile && w.columns == tile) {
    output_tile<tile, true>(w, low, high);
  } else {
    output_tile<tile, false>(w, low, high);
  }
  const bool clamp = activation == Activation::kRelu || activation == Activation::kClip;
  if (activation != Activation::kNone && !clamp) activate_tile(w);
}

}  // namespace

extern const kernels::WinogradF32 winograd_f32;
const kernels::WinogradF32 winograd_f32 = {
    .lanes = kLanes, .tile2 = {input<2>, output<2>}, .tile4 = {input<4>, output<4>}};

}  // namespace lanewise::LANEWISE_ISA
