// isas: baseline avx2 avx512
// Reductions of adjacent elements.
#include "engine/kernels/reduce/combine.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Reduction;

constexpr int kChains = 4;  // independent sums that hide the latency of an addition
constexpr std::int64_t kBlock = 64 * kChains * kLanes;  // a lane of a chain sums at most 64 terms

// The first `lanes` of v, combined along four chains, for the latency again.
template <Reduction r>
LANEWISE_INLINE double fold(F32 v, double total, int lanes) {
  const double none = kernels::reduction_start(r);
  double part[4] = {none, none, none, none};
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i < lanes) part[i % 4] = combine<r>(part[i % 4], static_cast<double>(v[i]));
  }
  return combine<r>(total, combine<r>(combine<r>(part[0], part[1]), combine<r>(part[2], part[3])));
}

template <Reduction r>
LANEWISE_INLINE F32 join(F32 a, F32 b) {
  if constexpr (r == Reduction::kMax) return a != a ? a : max(a, b);
  if constexpr (r == Reduction::kMin) return a != a ? a : min(a, b);
  return a + b;
}

template <Reduction r>
LANEWISE_INLINE double whole_vectors(const float* x, std::int64_t vectors, double total) {
  Running chains[kChains];
  for (Running& chain : chains) chain = {start<r>(), I32{}};
  std::int64_t i = 0;
  for (; i + kChains <= vectors; i += kChains) {
#pragma GCC unroll 4
    for (int j = 0; j < kChains; ++j) take<r>(chains[j], load(x + (i + j) * kLanes));
  }
  for (; i < vectors; ++i) take<r>(chains[0], load(x + i * kLanes));
  const F32 low = join<r>(result<r>(chains[0]), result<r>(chains[1]));
  const F32 high = join<r>(result<r>(chains[2]), result<r>(chains[3]));
  return fold<r>(join<r>(low, high), total, kLanes);
}

template <Reduction r>
double run(const float* x, std::int64_t n) noexcept {
  double total = kernels::reduction_start(r);
  for (std::int64_t i = 0; i < n; i += kBlock) {
    const std::int64_t size = n - i < kBlock ? n - i : kBlock;
    const std::int64_t vectors = size / kLanes;
    if (vectors > 0) total = whole_vectors<r>(x + i, vectors, total);
    const int rest = static_cast<int>(size % kLanes);
    if (rest == 0) continue;
    Running tail{start<r>(), I32{}};
    take<r>(tail, load_first(x + i + vectors * kLanes, rest));
    total = fold<r>(result<r>(tail), total, rest);
  }
  return total;
}

}  // namespace

extern const kernels::ReduceRow reduce_row;
constexpr kernels::ReduceRow reduce_row = {{run<Reduction::kSum>, run<Reduction::kSumAbs>,
                                            run<Reduction::kSumSquare>, run<Reduction::kMax>,
                                            run<Reduction::kMin>}};

}  // namespace lanewise::LANEWISE_ISA
