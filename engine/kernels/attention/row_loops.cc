// isas: baseline avx2 avx512
// Short loops over one row of scores, of heads or of time.
#include <utility>

#include "engine/kernels/attention/attention.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

LANEWISE_INLINE int lanes_from(std::int64_t i, std::int64_t n) {
  return static_cast<int>(n - i < kLanes ? n - i : kLanes);
}

void hide(float* row, const bool* mask, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) row[i] = mask[i] ? row[i] : -__builtin_inff();
}

LANEWISE_INLINE F32 get(const float* p, int lanes) {
  return lanes == kLanes ? load(p) : load_first(p, lanes);
}
LANEWISE_INLINE void put(float* p, F32 v, int lanes) {
  if (lanes == kLanes) return store(p, v);
  store_first(p, v, lanes);
}

void add_scaled(const float* x, float factor, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const int lanes = lanes_from(i, n);
    put(y + i, fma(get(x + i, lanes), splat(factor), get(y + i, lanes)), lanes);
  }
}

void turn_halves(const float* x, const float* cosine, const float* sine, float* y,
                 std::int64_t half) noexcept {
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const int lanes = lanes_from(i, half);
    const F32 a = get(x + i, lanes), b = get(x + half + i, lanes);
    const F32 c = get(cosine + i, lanes), s = get(sine + i, lanes);
    put(y + i, fma(a, c, -(b * s)), lanes);
    put(y + half + i, fma(a, s, b * c), lanes);
  }
}

// Lanes 0 0 1 1 2 2 ..., and 1 0 3 2 5 4 ...
template <std::size_t... K>
LANEWISE_INLINE F32 twice(F32 v, std::index_sequence<K...>) {
  return __builtin_shufflevector(v, v, (static_cast<int>(K) / 2)...);
}
template <std::size_t... K>
LANEWISE_INLINE F32 swapped(F32 v, std::index_sequence<K...>) {
  return __builtin_shufflevector(v, v, (static_cast<int>(K) ^ 1)...);
}

void turn_neighbours(const float* x, const float* cosine, const float* sine, float* y,
                     std::int64_t half) noexcept {
  constexpr auto kAll = std::make_index_sequence<kLanes>();
  F32 sign;
  for (int i = 0; i < kLanes; ++i) sign[i] = i % 2 == 0 ? -1.0f : 1.0f;
  for (std::int64_t i = 0; i < 2 * half; i += kLanes) {
    const int lanes = lanes_from(i, 2 * half);
    const F32 v = get(x + i, lanes);
    const F32 c = twice(load_first(cosine + i / 2, lanes / 2), kAll);
    const F32 s = twice(load_first(sine + i / 2, lanes / 2), kAll) * sign;
    put(y + i, fma(v, c, swapped(v, kAll) * s), lanes);
  }
}

}  // namespace

extern const kernels::RowLoops row_loops;
const kernels::RowLoops row_loops = {hide, add_scaled, turn_halves, turn_neighbours};

}  // namespace lanewise::LANEWISE_ISA
