// isas: baseline avx2 avx512
// Reductions of float32 in chunks: vectors of float32 sums, added up in float64.
#include "engine/kernels/moments/moments.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

constexpr std::int64_t kChunk = 64;  // additions per lane before the sum moves on to float64
constexpr int kBlock = 4;            // vectors in flight, to hide the latency of an addition

struct Sum {
  LANEWISE_INLINE F32 add(F32 sum, F32 x, F32) { return sum + x; }
};
struct SumAbs {
  LANEWISE_INLINE F32 add(F32 sum, F32 x, F32) { return sum + max(x, -x); }
};
struct SumSquares {
  LANEWISE_INLINE F32 add(F32 sum, F32 x, F32 mean) {
    const F32 d = x - mean;
    return fma(d, d, sum);
  }
};

LANEWISE_INLINE double lanes_sum(F32 v) {
  double sum = 0.0;
  for (int i = 0; i < kLanes; ++i) sum += static_cast<double>(v[i]);
  return sum;
}

template <class Fold>
LANEWISE_INLINE double reduce(const float* x, std::int64_t n, F32 mean) {
  double total = 0.0;
  std::int64_t i = 0;
  while (i + kBlock * kLanes <= n) {
    const std::int64_t blocks = (n - i) / (kBlock * kLanes);
    F32 sum[kBlock] = {};
    for (std::int64_t b = 0; b < (blocks < kChunk ? blocks : kChunk); ++b, i += kBlock * kLanes) {
#pragma GCC unroll 4
      for (int v = 0; v < kBlock; ++v) sum[v] = Fold::add(sum[v], load(x + i + v * kLanes), mean);
    }
    for (int v = 0; v < kBlock; ++v) total += lanes_sum(sum[v]);
  }
  F32 sum{};
  for (; i + kLanes <= n; i += kLanes) sum = Fold::add(sum, load(x + i), mean);
  total += lanes_sum(sum);
  for (; i < n; ++i) {  // one lane, so that a mean is not subtracted from padding
    total += static_cast<double>(Fold::add(F32{}, splat(x[i]), mean)[0]);
  }
  return total;
}

double sum(const float* x, std::int64_t n) noexcept { return reduce<Sum>(x, n, F32{}); }
double sum_abs(const float* x, std::int64_t n) noexcept { return reduce<SumAbs>(x, n, F32{}); }
double sum_squares(const float* x, std::int64_t n, float mean) noexcept {
  return reduce<SumSquares>(x, n, splat(mean));
}

double max_of(const float* x, std::int64_t n) noexcept {
  F32 best[kBlock];
  for (int v = 0; v < kBlock; ++v) best[v] = splat(-__builtin_inff());
  std::int64_t i = 0;
  for (; i + kBlock * kLanes <= n; i += kBlock * kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kBlock; ++v) best[v] = max(load(x + i + v * kLanes), best[v]);
  }
  for (; i < n; ++i) best[0] = max(splat(x[i]), best[0]);
  const F32 all = max(max(best[0], best[1]), max(best[2], best[3]));
  float result = all[0];
  for (int lane = 1; lane < kLanes; ++lane) result = all[lane] > result ? all[lane] : result;
  return static_cast<double>(result);
}

// `vectors` vectors of columns, the last of `lanes` columns.
template <class Fold, int vectors>
LANEWISE_INLINE void reduce_columns(const float* x, std::int64_t rows, std::int64_t stride,
                                    const float* mean, double* result, int lanes) {
  F32 centre[vectors] = {};
  for (int v = 0; mean != nullptr && v < vectors; ++v) {
    centre[v] = lanes == kLanes ? load(mean + v * kLanes) : load_first(mean + v * kLanes, lanes);
  }
  const std::int64_t columns = (vectors - 1) * kLanes + lanes;
  for (std::int64_t c = 0; c < columns; ++c) result[c] = 0.0;
  for (std::int64_t row = 0; row < rows; row += kChunk) {
    F32 sum[vectors] = {};
    const std::int64_t end = row + kChunk < rows ? row + kChunk : rows;
    for (std::int64_t r = row; r < end; ++r) {
      const float* p = x + r * stride;
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const F32 value =
            lanes == kLanes ? load(p + v * kLanes) : load_first(p + v * kLanes, lanes);
        sum[v] = Fold::add(sum[v], value, centre[v]);
      }
    }
    for (std::int64_t c = 0; c < columns; ++c) {
      result[c] += static_cast<double>(sum[c / kLanes][c % kLanes]);
    }
  }
}

template <class Fold>
LANEWISE_INLINE void all_columns(const float* x, std::int64_t rows, std::int64_t columns,
                                 std::int64_t stride, const float* mean, double* result) {
  std::int64_t c = 0;
  const auto centre = [&] { return mean == nullptr ? nullptr : mean + c; };
  for (; c + kBlock * kLanes <= columns; c += kBlock * kLanes) {
    reduce_columns<Fold, kBlock>(x + c, rows, stride, centre(), result + c, kLanes);
  }
  for (; c + kLanes <= columns; c += kLanes) {
    reduce_columns<Fold, 1>(x + c, rows, stride, centre(), result + c, kLanes);
  }
  if (c < columns) {
    reduce_columns<Fold, 1>(x + c, rows, stride, centre(), result + c,
                            static_cast<int>(columns - c));
  }
}

void column_sum(const float* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                double* result) noexcept {
  all_columns<Sum>(x, rows, columns, stride, nullptr, result);
}
void column_sum_abs(const float* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                    double* result) noexcept {
  all_columns<SumAbs>(x, rows, columns, stride, nullptr, result);
}
void column_sum_squares(const float* x, std::int64_t rows, std::int64_t columns,
                        std::int64_t stride, const float* mean, double* result) noexcept {
  all_columns<SumSquares>(x, rows, columns, stride, mean, result);
}

void column_max(const float* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                double* result) noexcept {
  for (std::int64_t c = 0; c < columns; c += kLanes) {
    const int lanes = columns - c < kLanes ? static_cast<int>(columns - c) : kLanes;
    F32 best[2] = {splat(-__builtin_inff()), splat(-__builtin_inff())};
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* p = x + row * stride + c;
      best[row & 1] = max(lanes == kLanes ? load(p) : load_first(p, lanes), best[row & 1]);
    }
    const F32 all = max(best[0], best[1]);
    for (int lane = 0; lane < lanes; ++lane) result[c + lane] = static_cast<double>(all[lane]);
  }
}

}  // namespace

extern const kernels::MomentsF32 moments_f32;
const kernels::MomentsF32 moments_f32 = {
    sum, sum_abs, sum_squares, max_of, column_sum, column_sum_abs, column_sum_squares, column_max};

}  // namespace lanewise::LANEWISE_ISA
