// isas: baseline avx2 avx512
// Depthwise convolution of float32, vectors along the channels: a block of neighbouring output
// pixels stays in registers, so that each weight is read once and each column of the input serves
// every pixel that covers it.
#include "engine/kernels/depthwise/depthwise.h"
#include "engine/simd/activation.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using Row = kernels::DepthwiseRow;

// Relu and Clip are clamps; other activations run over the finished row.
struct Finish {
  F32 low, high;
};

template <int pixels>
LANEWISE_INLINE void start_block(const Row& r, std::int64_t c, F32 (&sum)[pixels], int lanes) {
  F32 bias{};
  const float* from = r.epilogue.bias;
  if (from != nullptr) bias = lanes == kLanes ? load(from + c) : load_first(from + c, lanes);
#pragma GCC unroll 8
  for (int i = 0; i < pixels; ++i) sum[i] = bias;
}

template <int pixels>
LANEWISE_INLINE void finish_block(const Row& r, const Finish& finish, std::int64_t o,
                                  std::int64_t c, F32 (&sum)[pixels], int lanes) {
  const kernels::Epilogue& e = r.epilogue;
#pragma GCC unroll 8
  for (int i = 0; i < pixels; ++i) {
    F32 v = sum[i];
    if (e.residual != nullptr) {
      const float* residual = e.residual + (o + i) * e.residual_stride + c;
      v += lanes == kLanes ? load(residual) : load_first(residual, lanes);
    }
    v = min(finish.high, max(finish.low, v));
    float* out = r.out + (o + i) * r.channels + c;
    if (lanes == kLanes)
      store(out, v);
    else
      store_first(out, v, lanes);
  }
}

// Output pixels [o, o + pixels), one vector of channels at c. Kernel and stride are known and the
// dilation is 1. With `checked`, columns outside the image are left out.
template <int kernel, int stride, int pixels, bool checked>
LANEWISE_INLINE void fixed_block(const Row& r, const Finish& finish, std::int64_t o, std::int64_t c,
                                 int lanes) {
  const std::int64_t start = o * stride - r.pad;
  F32 sum[pixels];
  start_block(r, c, sum, lanes);
  for (std::int64_t row = 0; row < r.row_count; ++row) {
    const float* w = r.weights + r.filter_rows[row] * kernel * r.channels + c;
    const float* x = r.in + (r.rows[row] * r.width + start) * r.channels + c;
    F32 weight[kernel];
#pragma GCC unroll 8
    for (int k = 0; k < kernel; ++k, w += r.channels) {
      weight[k] = lanes == kLanes ? load(w) : load_first(w, lanes);
    }
#pragma GCC unroll 32
    for (int column = 0; column < (pixels - 1) * stride + kernel; ++column, x += r.channels) {
      const bool outside =
          static_cast<std::uint64_t>(start + column) >= static_cast<std::uint64_t>(r.width);
      if (checked && outside) continue;
      const F32 value = lanes == kLanes ? load(x) : load_first(x, lanes);
#pragma GCC unroll 8
      for (int i = 0; i < pixels; ++i) {
        const int k = column - i * stride;
        if (k >= 0 && k < kernel) sum[i] = fma(value, weight[k], sum[i]);
      }
    }
  }
  finish_block(r, finish, o, c, sum, lanes);
}

// The same for any kernel, stride and dilation.
template <int pixels>
LANEWISE_INLINE void any_block(const Row& r, const Finish& finish, std::int64_t o, std::int64_t c,
                               int lanes) {
  const std::int64_t start = o * r.stride - r.pad;
  F32 sum[pixels];
  start_block(r, c, sum, lanes);
  for (std::int64_t row = 0; row < r.row_count; ++row) {
    const float* w = r.weights + r.filter_rows[row] * r.kernel * r.channels + c;
    const float* x = r.in + r.rows[row] * r.width * r.channels + c;
    for (std::int64_t k = 0; k < r.kernel; ++k, w += r.channels) {
      const F32 weight = lanes == kLanes ? load(w) : load_first(w, lanes);
#pragma GCC unroll 8
      for (int i = 0; i < pixels; ++i) {
        const std::int64_t column = start + i * r.stride + k * r.dilation;
        if (static_cast<std::uint64_t>(column) >= static_cast<std::uint64_t>(r.width)) continue;
        const float* from = x + column * r.channels;
        sum[i] = fma(lanes == kLanes ? load(from) : load_first(from, lanes), weight, sum[i]);
      }
    }
  }
  finish_block(r, finish, o, c, sum, lanes);
}

// All channels of a block of pixels.
template <int kernel, int stride, int pixels, bool checked>
void block(const Row& row, const Finish& how, std::int64_t o) noexcept {
  // Copies: for all the compiler knows, a store to the output changes the originals.
  const Row r = row;
  const Finish finish = how;
  const auto vector = [&](std::int64_t c, int lanes) __attribute__((always_inline)) {
    if constexpr (kernel > 0) {
      fixed_block<kernel, stride, pixels, checked>(r, finish, o, c, lanes);
    } else {
      any_block<pixels>(r, finish, o, c, lanes);
    }
  };
  std::int64_t c = 0;
  for (; c + kLanes <= r.channels; c += kLanes) vector(c, kLanes);
  if (c < r.channels) vector(c, static_cast<int>(r.channels - c));
}

template <int kernel, int stride, int pixels>
LANEWISE_INLINE void place_block(const Row& r, const Finish& finish, std::int64_t o) {
  const std::int64_t begin = o * r.stride - r.pad;
  const std::int64_t end = begin + (pixels - 1) * r.stride + (r.kernel - 1) * r.dilation;
  if (kernel == 0 || begin < 0 || end >= r.width) {
    block<kernel, stride, pixels, true>(r, finish, o);
  } else {
    block<kernel, stride, pixels, false>(r, finish, o);
  }
}

// Blocks of 7 pixels: the sizes of ImageNet's feature maps are multiples of it, and seven sums
// leave room for five weights in sixteen registers.
template <int kernel, int stride>
void fill_row(const Row& r, const Finish& finish) noexcept {
  std::int64_t o = 0;
  for (; o + 7 <= r.out_width; o += 7) place_block<kernel, stride, 7>(r, finish, o);
  for (; o + 4 <= r.out_width; o += 4) place_block<kernel, stride, 4>(r, finish, o);
  for (; o + 2 <= r.out_width; o += 2) place_block<kernel, stride, 2>(r, finish, o);
  if (o < r.out_width) place_block<kernel, stride, 1>(r, finish, o);
}

void activate_row(const Row& r) noexcept {
  const kernels::Epilogue& e = r.epilogue;
  const std::int64_t n = r.out_width * r.channels;
  with_activation(e.activation, [&](auto tag) __attribute__((always_inline)) {
    constexpr kernels::Activation kActivation = decltype(tag)::value;
    const F32 alpha = splat(e.alpha), beta = splat(e.beta);
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      store(r.out + i, activate<kActivation>(load(r.out + i), alpha, beta));
    const int rest = static_cast<int>(n - i);
    if (rest > 0)
      store_first(r.out + i, activate<kActivation>(load_first(r.out + i, rest), alpha, beta), rest);
  });
}

void depthwise_row(const Row& r) noexcept {
  using kernels::Activation;
  const Activation activation = r.epilogue.activation;
  Finish finish{splat(-__builtin_inff()), splat(__builtin_inff())};
  if (activation == Activation::kRelu) finish.low = F32{};
  if (activation == Activation::kClip) finish = {splat(r.epilogue.alpha), splat(r.epilogue.beta)};
  const bool dense = r.dilation == 1;
  if (dense && r.kernel == 3 && r.stride == 1) {
    fill_row<3, 1>(r, finish);
  } else if (dense && r.kernel == 3 && r.stride == 2) {
    fill_row<3, 2>(r, finish);
  } else if (dense && r.kernel == 5 && r.stride == 1) {
    fill_row<5, 1>(r, finish);
  } else if (dense && r.kernel == 5 && r.stride == 2) {
    fill_row<5, 2>(r, finish);
  } else {
    fill_row<0, 0>(r, finish);
  }
  if (activation != Activation::kNone && activation != Activation::kRelu &&
      activation != Activation::kClip) {
    activate_row(r);
  }
}

}  // namespace

extern const kernels::DepthwiseF32 depthwise_f32;
const kernels::DepthwiseF32 depthwise_f32 = {kLanes, depthwise_row};

}  // namespace lanewise::LANEWISE_ISA
