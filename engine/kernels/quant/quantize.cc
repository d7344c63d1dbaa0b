// isas: baseline avx2 avx512
// Row loops in plain C++, shaped so that the compiler vectorises them: no calls, no branches.
#include <cstdint>

#include "engine/kernels/quant/quant.h"
#include "engine/simd/bytes.h"

namespace lanewise::LANEWISE_ISA {

using kernels::QuantBinary;
using kernels::QuantRange;
using kernels::QuantScale;

template <class T>
struct Limits {
  static constexpr bool kSigned = static_cast<T>(-1) < 0;
  static constexpr std::int32_t kHigh = (1 << (8 * sizeof(T) - (kSigned ? 1 : 0))) - 1;
  static constexpr std::int32_t kLow = kSigned ? -kHigh - 1 : 0;
};

// The nearest integer to |v| < 2^22, halves to even: adding 1.5 2^23 leaves it in the low bits.
LANEWISE_INLINE std::int32_t nearest(float v) {
  const float shifted = v + 0x1.8p23f;
  std::int32_t bits;
  __builtin_memcpy(&bits, &shifted, sizeof(bits));
  return bits - 0x4b400000;
}

// clamp(round(v) + zero), clamped before rounding so that no integer overflows.
LANEWISE_INLINE std::int32_t rounded(float v, std::int32_t zero, QuantRange range) {
  const float low = static_cast<float>(range.low - zero),
              high = static_cast<float>(range.high - zero);
  v = v < low ? low : v;
  v = v > high ? high : v;
  return nearest(v) + zero;
}

template <class T>
static void quantize_row(std::int64_t n, const float* __restrict x, QuantScale q, QuantRange range,
                         T* __restrict y) {
  if (q.each) {
    for (std::int64_t i = 0; i < n; ++i) {
      y[i] = static_cast<T>(rounded(x[i] / q.scale[i], q.zero[i], range));
    }
    return;
  }
  const float scale = q.scale[0];
  const std::int32_t zero = q.zero[0];
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(rounded(x[i] / scale, zero, range));
}

// The difference wraps for int32, which has no zero point other than 0 in valid models.
template <class T>
static void dequantize_row(std::int64_t n, const T* __restrict x, QuantScale q,
                           float* __restrict y) {
  const auto value = [](T v, std::int32_t zero, float scale) {
    const std::uint32_t difference =
        static_cast<std::uint32_t>(v) - static_cast<std::uint32_t>(zero);
    return static_cast<float>(static_cast<std::int32_t>(difference)) * scale;
  };
  if (q.each) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = value(x[i], q.zero[i], q.scale[i]);
    return;
  }
  const float scale = q.scale[0];
  const std::int32_t zero = q.zero[0];
  for (std::int64_t i = 0; i < n; ++i) y[i] = value(x[i], zero, scale);
}

template <class T>
static void requantize_row(std::int64_t n, const std::int32_t* __restrict sums,
                           const std::int32_t* __restrict bias, const float* __restrict scales,
                           std::int32_t zero, T* __restrict y) {
  constexpr QuantRange kRange = {Limits<T>::kLow, Limits<T>::kHigh};
  if (bias == nullptr) {
    for (std::int64_t i = 0; i < n; ++i) {
      y[i] = static_cast<T>(rounded(static_cast<float>(sums[i]) * scales[i], zero, kRange));
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t sum =
        static_cast<std::uint32_t>(sums[i]) + static_cast<std::uint32_t>(bias[i]);
    const float value = static_cast<float>(static_cast<std::int32_t>(sum)) * scales[i];
    y[i] = static_cast<T>(rounded(value, zero, kRange));
  }
}

// narrow() takes four vectors for interleaved ones: its words, in the order of the vectors.
LANEWISE_INLINE U32 in_order(U32 v) {
#if defined(LANEWISE_ISA_AVX512)
  const I32 source = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
#elif defined(LANEWISE_ISA_AVX2)
  const I32 source = {0, 4, 1, 5, 2, 6, 3, 7};
#else
  const I32 source = {0, 1, 2, 3};
#endif
  return reinterpret_cast<U32>(permute(reinterpret_cast<F32>(v), source));
}

// Whole vectors of bytes from the front; returns how many elements they were.
template <class T>
static std::int64_t add_vectors(std::int64_t n, const T* a, const T* b, const QuantBinary& p,
                                T* __restrict y) {
  const F32 a_scale = splat(p.a_scale), b_scale = splat(p.b_scale);
  const F32 most = splat(static_cast<float>(Limits<T>::kHigh - p.zero));
  const Narrowing how = narrowing(p.zero, Limits<T>::kLow, Limits<T>::kHigh);
  const I32 a_zero = I32{} + p.a_zero, b_zero = I32{} + p.b_zero;
  std::int64_t i = 0;
  for (; i + kBytes <= n; i += kBytes) {
    I32 v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const I32 left = widen_bytes(a + i + j * kLanes) - a_zero;
      const I32 right = widen_bytes(b + i + j * kLanes) - b_zero;
      v[j] = nearest(min(__builtin_convertvector(left, F32) * a_scale +
                             __builtin_convertvector(right, F32) * b_scale,
                         most));
    }
    const U32 bytes = in_order(narrow(v, how));
    std::memcpy(y + i, &bytes, sizeof(bytes));
  }
  return i;
}

template <class T>
static void add_row(std::int64_t n, const T* a, const T* b, const QuantBinary& p, T* __restrict y) {
  constexpr QuantRange kRange = {Limits<T>::kLow, Limits<T>::kHigh};
  const float a_scale = p.a_scale, b_scale = p.b_scale;
  const std::int32_t a_zero = p.a_zero, b_zero = p.b_zero, zero = p.zero;
  const auto sum = [&](float left, std::int32_t right) {
    return static_cast<T>(
        rounded(left + static_cast<float>(right - b_zero) * b_scale, zero, kRange));
  };
  if (p.a_step == 1 && p.b_step == 1) {
    for (std::int64_t i = add_vectors(n, a, b, p, y); i < n; ++i)
      y[i] = sum(static_cast<float>(a[i] - a_zero) * a_scale, b[i]);
  } else if (p.a_step == 0) {
    const float left = static_cast<float>(a[0] - a_zero) * a_scale;
    for (std::int64_t i = 0; i < n; ++i) y[i] = sum(left, b[i * p.b_step]);
  } else {
    const std::int32_t right = b[0];
    for (std::int64_t i = 0; i < n; ++i)
      y[i] = sum(static_cast<float>(a[i] - a_zero) * a_scale, right);
  }
}

template <class T>
static void multiply_row(std::int64_t n, const T* a, const T* b, const QuantBinary& p,
                         T* __restrict y) {
  constexpr QuantRange kRange = {Limits<T>::kLow, Limits<T>::kHigh};
  const std::int32_t a_zero = p.a_zero, b_zero = p.b_zero, zero = p.zero;
  const float scale = p.a_scale;
  const auto product = [&](std::int32_t left, std::int32_t right) {
    return static_cast<T>(
        rounded(static_cast<float>(left * (right - b_zero)) * scale, zero, kRange));
  };
  if (p.a_step == 1 && p.b_step == 1) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = product(a[i] - a_zero, b[i]);
  } else if (p.a_step == 0) {
    const std::int32_t left = a[0] - a_zero;
    for (std::int64_t i = 0; i < n; ++i) y[i] = product(left, b[i * p.b_step]);
  } else {
    const std::int32_t right = b[0];
    for (std::int64_t i = 0; i < n; ++i) y[i] = product(a[i] - a_zero, right);
  }
}

template <class T>
static void accumulate_row(std::int64_t n, const T* __restrict x, std::int32_t zero,
                           std::int32_t* __restrict sums) {
  for (std::int64_t i = 0; i < n; ++i) sums[i] += x[i] - zero;
}

static void extremes_row(std::int64_t n, const float* x, float* low, float* high) {
  F32 least = splat(*low), most = splat(*high);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F32 v = load(x + i);
    least = min(v, least);
    most = max(v, most);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    *low = least[lane] < *low ? least[lane] : *low;
    *high = most[lane] > *high ? most[lane] : *high;
  }
  for (; i < n; ++i) {
    *low = x[i] < *low ? x[i] : *low;
    *high = x[i] > *high ? x[i] : *high;
  }
}

template <class T>
static constexpr kernels::QuantRows<T> byte_rows() {
  return {.quantize = quantize_row<T>,
          .dequantize = dequantize_row<T>,
          .requantize = requantize_row<T>,
          .add = add_row<T>,
          .multiply = multiply_row<T>,
          .accumulate = accumulate_row<T>};
}

template <class T>
static constexpr kernels::QuantRows<T> wide_rows() {
  return {.quantize = quantize_row<T>,
          .dequantize = dequantize_row<T>,
          .requantize = requantize_row<T>};
}

extern const kernels::Quantize quantize;
constinit const kernels::Quantize quantize = {
    .u8 = byte_rows<std::uint8_t>(),
    .s8 = byte_rows<std::int8_t>(),
    .u16 = wide_rows<std::uint16_t>(),
    .s16 = wide_rows<std::int16_t>(),
    .dequantize_s32 = dequantize_row<std::int32_t>,
    .extremes = extremes_row,
};

}  // namespace lanewise::LANEWISE_ISA
