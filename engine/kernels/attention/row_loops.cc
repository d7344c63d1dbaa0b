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

void add_scaled(const float* x, float factor, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const int lanes = lanes_from(i, n);
    if (lanes == kLanes) {
      store(y + i, fma(load(x + i), splat(factor), load(y + i)));
    } else {
      store_first(y + i, fma(load_first(x + i, lanes), splat(factor), load_first(y + i, lanes)),
                  lanes);
    }
  }
}

void turn_halves(const float* x, const float* cosine, const float* sine, float* y,
                 std::int64_t half) noexcept {
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const int lanes = lanes_from(i, half);
    const F32 a = load_first(x + i, lanes), b = load_first(x + half + i, lanes);
    const F32 c = load_first(cosine + i, lanes), s = load_first(sine + i, lanes);
    store_first(y + i, fma(a, c, -(b * s)), lanes);
    store_first(y + half + i, fma(a, s, b * c), lanes);
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
    const F32 v = load_first(x + i, lanes);
    const F32 c = twice(load_first(cosine + i / 2, lanes / 2), kAll);
    const F32 s = twice(load_first(sine + i / 2, lanes / 2), kAll) * sign;
    store_first(y + i, fma(v, c, swapped(v, kAll) * s), lanes);
  }
}

}  // namespace

extern const kernels::RowLoops row_loops;
const kernels::RowLoops row_loops = {hide, add_scaled, turn_halves, turn_neighbours};

}  // namespace lanewise::LANEWISE_ISA
