// isas: baseline avx2 avx512
// Functions of two float32 arrays, each walked along, or repeated over, rows and columns.
#include <utility>

#include "engine/kernels/eltwise/eltwise.h"
#include "engine/simd/math.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Binary;
using kernels::BinaryBlock;

template <Binary f>
LANEWISE_INLINE F32 apply(F32 a, F32 b) {
  if constexpr (f == Binary::kAdd) return a + b;
  if constexpr (f == Binary::kSub) return a - b;
  if constexpr (f == Binary::kMul) return a * b;
  if constexpr (f == Binary::kDiv) return a / b;
  // min and max give their second operand when either is NaN: only a NaN in `a` needs care.
  if constexpr (f == Binary::kMin) return a != a ? a : min(a, b);
  if constexpr (f == Binary::kMax) return a != a ? a : max(a, b);
  return a < 0.0f ? a * b : a;
}

// The operand at column i: a vector of the row, or its only element.
template <bool repeated>
LANEWISE_INLINE F32 fetch(const float* p, F32 only, std::int64_t i) {
  if constexpr (repeated) return only;
  return load(p + i);
}
template <bool repeated>
LANEWISE_INLINE F32 fetch_first(const float* p, F32 only, std::int64_t i, int n) {
  if constexpr (repeated) return only;
  return load_first(p + i, n);
}

template <Binary f, bool repeat_a, bool repeat_b>
LANEWISE_INLINE void rows(const BinaryBlock& t) {
  for (std::int64_t row = 0; row < t.rows; ++row) {
    const float* a = t.a + row * t.a_row;
    const float* b = t.b + row * t.b_row;
    float* y = t.y + row * t.cols;
    F32 only_a{}, only_b{};
    if constexpr (repeat_a) only_a = splat(*a);
    if constexpr (repeat_b) only_b = splat(*b);
    std::int64_t i = 0;
    for (; i + kLanes <= t.cols; i += kLanes) {
      store(y + i, apply<f>(fetch<repeat_a>(a, only_a, i), fetch<repeat_b>(b, only_b, i)));
    }
    const int rest = static_cast<int>(t.cols - i);
    if (rest > 0) {
      const F32 last = apply<f>(fetch_first<repeat_a>(a, only_a, i, rest),
                                fetch_first<repeat_b>(b, only_b, i, rest));
      store_first(y + i, last, rest);
    }
  }
}

// Any column strides, one element at a time.
template <Binary f>
void strided(const BinaryBlock& t) noexcept {
  for (std::int64_t row = 0; row < t.rows; ++row) {
    for (std::int64_t i = 0; i < t.cols; ++i) {
      const F32 a = splat(t.a[row * t.a_row + i * t.a_col]);
      const F32 b = splat(t.b[row * t.b_row + i * t.b_col]);
      t.y[row * t.cols + i] = apply<f>(a, b)[0];
    }
  }
}

template <Binary f>
void run(const BinaryBlock& t) noexcept {
  if (t.a_col == 1 && t.b_col == 1) return rows<f, false, false>(t);
  if (t.a_col == 1 && t.b_col == 0) return rows<f, false, true>(t);
  if (t.a_col == 0 && t.b_col == 1) return rows<f, true, false>(t);
  strided<f>(t);
}

template <int... f>
constexpr kernels::EltwiseBinary table(std::integer_sequence<int, f...>) {
  return {{run<static_cast<Binary>(f)>...}};
}

}  // namespace

extern const kernels::EltwiseBinary eltwise_binary;
constexpr kernels::EltwiseBinary eltwise_binary =
    table(std::make_integer_sequence<int, static_cast<int>(Binary::kCount)>{});

}  // namespace lanewise::LANEWISE_ISA
