// isas: baseline avx2 avx512
// Weighted sums of rows and of pixels in float32.
#include "engine/kernels/resample/resample.h"

#include <cstdint>

#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

static void resample_rows(const float* const* rows, const float* weights, std::int64_t taps,
                          float* out, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const int lanes = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    if (lanes == kLanes) {
      F32 sum = load(rows[0] + i) * splat(weights[0]);
      for (std::int64_t t = 1; t < taps; ++t) sum = fma(load(rows[t] + i), splat(weights[t]), sum);
      store(out + i, sum);
    } else {
      F32 sum = load_first(rows[0] + i, lanes) * splat(weights[0]);
      for (std::int64_t t = 1; t < taps; ++t) {
        sum = fma(load_first(rows[t] + i, lanes), splat(weights[t]), sum);
      }
      store_first(out + i, sum, lanes);
    }
  }
}

// One channel: the taps of a pixel are single elements.
static void resample_elements(const float* in, const std::int64_t* offsets, const float* weights,
                              std::int64_t taps, std::int64_t count, float* out) noexcept {
  if (taps == 2) {
    for (std::int64_t x = 0; x < count; ++x) {
      out[x] = in[offsets[2 * x]] * weights[2 * x] + in[offsets[2 * x + 1]] * weights[2 * x + 1];
    }
    return;
  }
  for (std::int64_t x = 0; x < count; ++x) {
    float sum = in[offsets[x * taps]] * weights[x * taps];
    for (std::int64_t t = x * taps + 1; t < (x + 1) * taps; ++t) sum += in[offsets[t]] * weights[t];
    out[x] = sum;
  }
}

static void resample_pixels(const float* in, const std::int64_t* offsets, const float* weights,
                            std::int64_t taps, std::int64_t count, std::int64_t inner,
                            float* out) noexcept {
  if (inner == 1) return resample_elements(in, offsets, weights, taps, count, out);
  for (std::int64_t x = 0; x < count; ++x) {
    const std::int64_t* at = offsets + x * taps;
    const float* weight = weights + x * taps;
    float* to = out + x * inner;
    std::int64_t c = 0;
    for (; c + kLanes <= inner; c += kLanes) {
      F32 sum = load(in + at[0] + c) * splat(weight[0]);
      for (std::int64_t t = 1; t < taps; ++t) {
        sum = fma(load(in + at[t] + c), splat(weight[t]), sum);
      }
      store(to + c, sum);
    }
    if (c < inner) {
      const int lanes = static_cast<int>(inner - c);
      F32 sum = load_first(in + at[0] + c, lanes) * splat(weight[0]);
      for (std::int64_t t = 1; t < taps; ++t) {
        sum = fma(load_first(in + at[t] + c, lanes), splat(weight[t]), sum);
      }
      store_first(to + c, sum, lanes);
    }
  }
}

extern const kernels::Resample resample;
const kernels::Resample resample = {resample_rows, resample_pixels};

}  // namespace lanewise::LANEWISE_ISA
