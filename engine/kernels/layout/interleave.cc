// isas: baseline avx2 avx512
// Elements of several rows in turn: each result vector is gathered from one vector per row.
#include <cstdint>
#include <utility>

#include "engine/kernels/layout/layout.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

// Lane `lane` of result vector `v` when row `group` joins: the lanes of earlier rows stay, its own
// come from the second operand, later ones are free.
template <int groups>
constexpr int joined_lane(int v, int group, int lane) {
  const int at = v * kLanes + lane;
  if (at % groups == group) return kLanes + at / groups;
  return at % groups < group ? lane : -1;
}
// The first step joins rows 0 and 1, both still in their own order.
template <int groups>
constexpr int first_lane(int v, int lane) {
  const int at = v * kLanes + lane;
  if (at % groups > 1) return -1;
  return at % groups * kLanes + at / groups;
}

template <int groups, int v, int group, std::size_t... K>
LANEWISE_INLINE F32 join(F32 sum, const F32* row, std::index_sequence<K...> lanes) {
  sum = __builtin_shufflevector(sum, row[group],
                                joined_lane<groups>(v, group, static_cast<int>(K))...);
  if constexpr (group + 1 < groups) return join<groups, v, group + 1>(sum, row, lanes);
  return sum;
}

template <int groups, int v, std::size_t... K>
LANEWISE_INLINE void store_joined(const F32* row, float* out, std::index_sequence<K...> lanes) {
  F32 sum = __builtin_shufflevector(row[0], row[1], first_lane<groups>(v, static_cast<int>(K))...);
  if constexpr (groups > 2) sum = join<groups, v, 2>(sum, row, lanes);
  store(out + v * kLanes, sum);
  if constexpr (v + 1 < groups) store_joined<groups, v + 1>(row, out, lanes);
}

template <int groups>
void run(const float* const* in, std::int64_t in_step, std::int64_t count, std::int64_t rows,
         float* out) {
  for (std::int64_t r = 0; r < rows; ++r, out += count * groups) {
    const std::int64_t from = r * in_step;
    std::int64_t i = 0;
    while (count >= kLanes && i < count) {
      // The last vector steps back: what it writes twice is the same.
      if (i + kLanes > count) i = count - kLanes;
      F32 row[groups];
#pragma GCC unroll 8
      for (int g = 0; g < groups; ++g) row[g] = load(in[g] + from + i);
      store_joined<groups, 0>(row, out + i * groups, std::make_index_sequence<kLanes>());
      i += kLanes;
    }
    for (; i < count; ++i) {
      for (int g = 0; g < groups; ++g) out[i * groups + g] = in[g][from + i];
    }
  }
}

void b4(const void* const* in, std::int64_t in_step, std::int64_t groups, std::int64_t count,
        std::int64_t rows, void* out) noexcept {
  const float* from[kernels::Interleave::kMostGroups];
  for (std::int64_t g = 0; g < groups; ++g) from[g] = static_cast<const float*>(in[g]);
  auto* to = static_cast<float*>(out);
  switch (groups) {
    case 2: return run<2>(from, in_step, count, rows, to);
    case 3: return run<3>(from, in_step, count, rows, to);
    case 4: return run<4>(from, in_step, count, rows, to);
    case 5: return run<5>(from, in_step, count, rows, to);
    case 6: return run<6>(from, in_step, count, rows, to);
    case 7: return run<7>(from, in_step, count, rows, to);
    case 8: return run<8>(from, in_step, count, rows, to);
    default: break;
  }
  for (std::int64_t i = 0; i < rows * count; ++i) to[i] = from[0][i / count * in_step + i % count];
}

}  // namespace

extern const kernels::Interleave interleave;
const kernels::Interleave interleave = {b4};

}  // namespace lanewise::LANEWISE_ISA
