// isas: baseline avx2 avx512
// Softmax and its logarithm, shifted by the maximum so that nothing overflows. NaN in a group, or a
// group whose maximum is infinite, gives NaN throughout the group, as the formula does.
#include "engine/kernels/reduce/reduce.h"
#include "engine/simd/math.h"

namespace lanewise::LANEWISE_ISA {
namespace {

LANEWISE_INLINE float sum_lanes(F32 v) {
  float part[4] = {};
  for (int i = 0; i < kLanes; ++i) part[i % 4] += v[i];
  return (part[0] + part[1]) + (part[2] + part[3]);
}

LANEWISE_INLINE float max_lanes(F32 v) {
  float part[4] = {v[0], v[1], v[2], v[3]};
  for (int i = 4; i < kLanes; ++i) part[i % 4] = v[i] > part[i % 4] ? v[i] : part[i % 4];
  const float low = part[0] > part[1] ? part[0] : part[1];
  const float high = part[2] > part[3] ? part[2] : part[3];
  return low > high ? low : high;
}

LANEWISE_INLINE I32 lanes_below(int n) {
  I32 lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return lane < n;
}

// NaN is passed over here: its exponential makes the sum NaN.
LANEWISE_INLINE float row_max(const float* x, std::int64_t n) {
  F32 even = -infinity(), odd = even;
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    even = max(load(x + i), even);
    odd = max(load(x + i + kLanes), odd);
  }
  for (; i + kLanes <= n; i += kLanes) even = max(load(x + i), even);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    odd = max(lanes_below(rest) ? load_first(x + i, rest) : -infinity(), odd);
  }
  return max_lanes(max(even, odd));
}

// Writes e^(x - most), or with `keep` x - most, and returns e^(x - most).
template <bool keep>
LANEWISE_INLINE F32 vector_exp(const float* x, float* y, float most) {
  const F32 shifted = load(x) - most;
  const F32 e = exp(shifted);
  store(y, keep ? shifted : e);
  return e;
}

// The same for a row; returns the sum of e^(x - most).
template <bool keep>
LANEWISE_INLINE float row_exp(const float* x, float* y, std::int64_t n, float most) {
  F32 even{}, odd{};
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    even += vector_exp<keep>(x + i, y + i, most);
    odd += vector_exp<keep>(x + i + kLanes, y + i + kLanes, most);
  }
  if (i + kLanes <= n) {
    even += vector_exp<keep>(x + i, y + i, most);
    i += kLanes;
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    const F32 shifted = load_first(x + i, rest) - most;
    const F32 e = exp(shifted);
    odd += lanes_below(rest) ? e : F32{};
    store_first(y + i, keep ? shifted : e, rest);
  }
  return sum_lanes(even + odd);
}

template <bool logarithm>
void row(const float* x, float* y, std::int64_t n) {
  const float sum = row_exp<logarithm>(x, y, n, row_max(x, n));
  const float factor = 1.0f / sum;
  const float shift = log(splat(sum))[0];
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(y + i, logarithm ? load(y + i) - shift : load(y + i) * factor);
  const int rest = static_cast<int>(n - i);
  if (rest == 0) return;
  const F32 last = load_first(y + i, rest);
  store_first(y + i, logarithm ? last - shift : last * factor, rest);
}

// The first `lanes` groups side by side, n elements `stride` apart.
template <bool logarithm>
LANEWISE_INLINE void side_by_side(const float* x, float* y, std::int64_t n, std::int64_t stride,
                                  int lanes) {
  F32 most = -infinity();
  for (std::int64_t k = 0; k < n; ++k) most = max(load_first(x + k * stride, lanes), most);
  F32 sum{};
  for (std::int64_t k = 0; k < n; ++k) {
    const F32 shifted = load_first(x + k * stride, lanes) - most;
    const F32 e = exp(shifted);
    sum += e;
    store_first(y + k * stride, logarithm ? shifted : e, lanes);
  }
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
