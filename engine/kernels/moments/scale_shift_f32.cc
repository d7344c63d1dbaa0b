// isas: baseline avx2 avx512
// The element-wise half of normalisation: (x - mean) * scale + shift, and an activation of it. The
// difference is taken
// first: folding the mean into the shift would cancel where the mean is large beside the deviation.
#include "engine/kernels/moments/moments.h"
#include "engine/simd/activation.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

void uniform(const float* x, std::int64_t n, float mean, float scale, float shift,
             const kernels::ActivationCall& activation, float* y) noexcept {
  with_activation(activation.function, [&](auto tag) __attribute__((always_inline)) {
    const F32 alpha = splat(activation.alpha), beta = splat(activation.beta);
    const F32 m = splat(mean), a = splat(scale), b = splat(shift);
    const auto result = [&](F32 v) __attribute__((always_inline)) {
      return activate<decltype(tag)::value>(fma(v - m, a, b), alpha, beta);
    };
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(y + i, result(load(x + i)));
    const int rest = static_cast<int>(n - i);
    if (rest > 0) store_first(y + i, result(load_first(x + i, rest)), rest);
  });
}

void vectors(const float* x, std::int64_t n, float mean, float inverse, const float* scale,
             const float* shift, float* y) noexcept {
  const F32 m = splat(mean), k = splat(inverse);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F32 b = shift == nullptr ? F32{} : load(shift + i);
    store(y + i, fma((load(x + i) - m) * k, load(scale + i), b));
  }
  const int rest = static_cast<int>(n - i);
  if (rest > 0) {
    const F32 b = shift == nullptr ? F32{} : load_first(shift + i, rest);
    const F32 v = (load_first(x + i, rest) - m) * k;
    store_first(y + i, fma(v, load_first(scale + i, rest), b), rest);
  }
}

void columns(const float* x, std::int64_t rows, std::int64_t width, std::int64_t stride,
             const float* mean, const float* scale, const float* shift,
             const kernels::ActivationCall& activation, float* y) noexcept {
  with_activation(activation.function, [&](auto tag) __attribute__((always_inline)) {
    const F32 alpha = splat(activation.alpha), beta = splat(activation.beta);
    const auto result = [&](F32 v, F32 m, F32 a, F32 b) __attribute__((always_inline)) {
      return activate<decltype(tag)::value>(fma(v - m, a, b), alpha, beta);
    };
    for (std::int64_t row = 0; row < rows; ++row, x += stride, y += width) {
      std::int64_t c = 0;
      for (; c + kLanes <= width; c += kLanes) {
        store(y + c, result(load(x + c), load(mean + c), load(scale + c), load(shift + c)));
      }
      const int rest = static_cast<int>(width - c);
      if (rest > 0) {
        store_first(y + c,
                    result(load_first(x + c, rest), load_first(mean + c, rest),
                           load_first(scale + c, rest), load_first(shift + c, rest)),
                    rest);
      }
    }
  });
}

}  // namespace

extern const kernels::ScaleShiftF32 scale_shift_f32;
const kernels::ScaleShiftF32 scale_shift_f32 = {uniform, vectors, columns};

}  // namespace lanewise::LANEWISE_ISA
