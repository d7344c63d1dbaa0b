// isas: baseline avx2 avx512
// Local response normalisation of float32: the window's squares are added anew for each vector, not
// carried along, so that large elements leave no rounding behind.
#include "engine/kernels/lrn/lrn.h"
#include "engine/simd/math.h"

namespace lanewise::LANEWISE_ISA {
namespace {

// x / base^beta; the exponents of the published networks (0.75) and simple ones need no logarithm.
LANEWISE_INLINE F32 divide_by_power(F32 x, F32 base, float beta) {
  if (beta == 0.75f) {
    const F32 root = square_root(base);
    return x / (root * square_root(root));
  }
  if (beta == 0.5f) return x / square_root(base);
  if (beta == 1.0f) return x / base;
  return x * exp(log(base) * -beta);
}

void pixels(const kernels::Lrn& lrn, const float* x, std::int64_t count, float* squares,
            float* y) noexcept {
  const std::int64_t size = lrn.before + 1 + lrn.after;
  float* middle = squares + lrn.before;
  for (std::int64_t pixel = 0; pixel < count; ++pixel, x += lrn.channels, y += lrn.channels) {
    std::int64_t c = 0;
    for (; c + kLanes <= lrn.channels; c += kLanes) {
      const F32 v = load(x + c);
      store(middle + c, v * v);
    }
    const int rest = static_cast<int>(lrn.channels - c);
    if (rest > 0) {
      const F32 v = load_first(x + c, rest);
      store_first(middle + c, v * v, rest);
    }
    for (c = 0; c < lrn.channels; c += kLanes) {
      F32 sum{};
      for (std::int64_t i = 0; i < size; ++i) sum += load(squares + c + i);
      const F32 base = fma(sum, splat(lrn.scale), splat(lrn.bias));
      if (c + kLanes <= lrn.channels) {
        store(y + c, divide_by_power(load(x + c), base, lrn.beta));
      } else {
        store_first(y + c, divide_by_power(load_first(x + c, rest), base, lrn.beta), rest);
      }
    }
  }
  for (std::int64_t c = 0; c < lrn.channels; ++c) middle[c] = 0.0f;
}

void planes(const kernels::Lrn& lrn, const float* x, std::int64_t size, std::int64_t begin,
            std::int64_t end, float* y) noexcept {
  for (std::int64_t p = begin; p < end; p += kLanes) {
    const int lanes = end - p < kLanes ? static_cast<int>(end - p) : kLanes;
    for (std::int64_t c = 0; c < lrn.channels; ++c) {
      const std::int64_t first = c < lrn.before ? 0 : c - lrn.before;
      const std::int64_t last = lrn.channels - 1 - c < lrn.after ? lrn.channels - 1 : c + lrn.after;
      F32 sum{};
      for (std::int64_t i = first; i <= last; ++i) {
        const F32 v = load_first(x + i * size + p, lanes);
        sum += v * v;
      }
      const F32 base = fma(sum, splat(lrn.scale), splat(lrn.bias));
      const F32 v = load_first(x + c * size + p, lanes);
      store_first(y + c * size + p, divide_by_power(v, base, lrn.beta), lanes);
    }
  }
}

}  // namespace

extern const kernels::LrnF32 lrn_f32;
const kernels::LrnF32 lrn_f32 = {pixels, planes};

}  // namespace lanewise::LANEWISE_ISA
