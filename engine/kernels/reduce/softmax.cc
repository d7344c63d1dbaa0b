// isas: baseline avx2 avx512
// Softmax and its logarithm, shifted by the maximum so that nothing overflows. NaN in a group, or a
// group whose maximum is infinite, gives NaN throughout the group, as the formula does.
#include "engine/kernels/reduce/combine.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Reduction;

constexpr int kChains = 4;

LANEWISE_INLINE float sum_lanes(F32 v) {
  double total = 0.0;
  for (int i = 0; i < kLanes; ++i) total += static_cast<double>(v[i]);
  return static_cast<float>(total);
}

LANEWISE_INLINE float max_lanes(const Running& running) {
  const F32 v = result<Reduction::kMax>(running);
  float most = v[0];
  for (int i = 1; i < kLanes; ++i) most = v[i] > most || v[i] != v[i] ? v[i] : most;
  return most;
}

// The first n lanes, and after them what e^x turns into 0 and a maximum ignores.
LANEWISE_INLINE F32 load_padded(const float* p, int n) {
  I32 lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return lane < n ? load_first(p, n) : -infinity();
}

LANEWISE_INLINE float row_max(const float* x, std::int64_t n) {
  Running running{-infinity(), I32{}};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) take<Reduction::kMax>(running, load(x + i));
  if (i < n) take<Reduction::kMax>(running, load_padded(x + i, static_cast<int>(n - i)));
  return max_lanes(running);
}

// Writes e^(x - most), or with `keep` x - most, and returns the sum of e^(x - most).
template <bool keep>
LANEWISE_INLINE float row_exp(const float* x, float* y, std::int64_t n, float most) {
  F32 sums[kChains] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F32 shifted = load(x + i) - most;
    const F32 e = exp(shifted);
    sums[(i / kLanes) % kChains] += e;
    store(y + i, keep ? shifted : e);
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    const F32 shifted = load_padded(x + i, rest) - most;
    const F32 e = exp(shifted);
    I32 lane;
    for (int j = 0; j < kLanes; ++j) lane[j] = j;
    sums[0] += lane < rest ? e : F32{};  // -inf minus an infinite maximum would be NaN
    store_first(y + i, keep ? shifted : e, rest);
  }
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <bool logarithm>
void row(const float* x, float* y, std::int64_t n) {
  const float sum = row_exp<logarithm>(x, y, n, row_max(x, n));
  const float factor = 1.0f / sum;
  const float shift = log(splat(sum))[0];
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, logarithm ? load(y + i) - shift : load(y + i) * factor);
  const int rest = static_cast<int>(n - i);
  if (rest == 0) return;
  const F32 last = load_first(y + i, rest);
  store_first(y + i, logarithm ? last - shift : last * factor, rest);
}

// The first `lanes` groups side by side, n elements `stride` apart.
template <bool logarithm>
LANEWISE_INLINE void side_by_side(const float* x, float* y, std::int64_t n, std::int64_t stride, int lanes) {
  Running running{-infinity(), I32{}};
  for (std::int64_t k = 0; k < n; ++k) take<Reduction::kMax>(running, load_first(x + k * stride, lanes));
  const F32 most = result<Reduction::kMax>(running);
  F32 sums[kChains] = {};
  for (std::int64_t k = 0; k < n; ++k) {
    const F32 shifted = load_first(x + k * stride, lanes) - most;
    const F32 e = exp(shifted);
    sums[k % kChains] += e;
    store_first(y + k * stride, logarithm ? shifted : e, lanes);
  }
  const F32 sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  const F32 factor = 1.0f / sum;
  const F32 shift = log(sum);
  for (std::int64_t k = 0; k < n; ++k) {
    const F32 v = load_first(y + k * stride, lanes);
    store_first(y + k * stride, logarithm ? v - shift : v * factor, lanes);
  }
}

template <bool logarithm>
void run(const float* x, float* y, std::int64_t rows, std::int64_t n, std::int64_t inner) noexcept {
  for (std::int64_t i = 0; i < rows; ++i, x += n * inner, y += n * inner) {
    if (inner == 1) {
      row<logarithm>(x, y, n);
      continue;
    }
    for (std::int64_t j = 0; j < inner; j += kLanes) {
      const int lanes = static_cast<int>(inner - j < kLanes ? inner - j : kLanes);
      side_by_side<logarithm>(x + j, y + j, n, inner, lanes);
    }
  }
}

}  // namespace

extern const kernels::Softmax softmax;
constexpr kernels::Softmax softmax = {run<false>, run<true>};

}  // namespace lanewise::LANEWISE_ISA
