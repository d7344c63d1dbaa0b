// Quantised arithmetic on rows of numbers: between floats and integers, element-wise operators on
// quantised values. Zero points and scales are the caller's to read.
#pragma once

#include <cstdint>

namespace lanewise {
enum class Isa : unsigned char;
}

namespace lanewise::kernels {

// Scale and zero point of each element, or of all of them (`each` false).
struct QuantScale {
  const float* scale = nullptr;
  const std::int32_t* zero = nullptr;
  bool each = false;
};

// Which integers a result may take: those of its type, or fewer (4-bit types in whole bytes).
struct QuantRange {
  std::int32_t low = 0, high = 0;
};

// y = clamp(round((a - a_zero) a_scale + (b - b_zero) b_scale) + zero) or, for products,
// clamp(round((a - a_zero) (b - b_zero) a_scale) + zero): scales are already divided by the
// result's. A step of 0 repeats an operand's first element.
struct QuantBinary {
  float a_scale = 0.0f, b_scale = 0.0f;
  std::int32_t a_zero = 0, b_zero = 0, zero = 0;
  int a_step = 1, b_step = 1;
};

// All rounding is to nearest, halves to even; results saturate. NaN gives the zero point.
template <class T>
struct QuantRows {
  // y = clamp(round(x / scale) + zero)
  void (*quantize)(std::int64_t n, const float* x, QuantScale scale, QuantRange range,
                   T* y) = nullptr;
  // y = (x - zero) * scale
  void (*dequantize)(std::int64_t n, const T* x, QuantScale scale, float* y) = nullptr;
  // y = clamp(round((sum + bias) * scale) + zero) over T's range; a null bias is zero.
  void (*requantize)(std::int64_t n, const std::int32_t* sums, const std::int32_t* bias,
                     const float* scales, std::int32_t zero, T* y) = nullptr;
  void (*add)(std::int64_t n, const T* a, const T* b, const QuantBinary& p, T* y) = nullptr;
  void (*multiply)(std::int64_t n, const T* a, const T* b, const QuantBinary& p, T* y) = nullptr;
  // sums += x - zero
  void (*accumulate)(std::int64_t n, const T* x, std::int32_t zero, std::int32_t* sums) = nullptr;
};

struct Quantize {
  QuantRows<std::uint8_t> u8;
  QuantRows<std::int8_t> s8;
  QuantRows<std::uint16_t> u16;
  QuantRows<std::int16_t> s16;
  void (*dequantize_s32)(std::int64_t n, const std::int32_t* x, QuantScale scale,
                         float* y) = nullptr;
  // Widens [low, high] to hold every x.
  void (*extremes)(std::int64_t n, const float* x, float* low, float* high) = nullptr;
};
const Quantize& quantize(Isa isa);

}  // namespace lanewise::kernels
