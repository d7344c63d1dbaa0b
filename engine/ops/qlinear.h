// What com.microsoft's element-wise operators on quantised values share: their parameters (a scale
// and an optional zero point for each operand) and tables over the 256 values of a byte.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "engine/cpu/quant_parameters.h"
#include "engine/graph/op.h"

namespace lanewise {

struct QuantParameter {
  float scale = 1.0f;
  std::int32_t zero = 0;
};

// Checks input `i`, an int8 or uint8 operand, and the scale and zero point that follow it.
inline void expect_operand(const OpContext& c, int i) {
  expect_bytes(c, i);
  expect_scale(c, i + 1);
  expect_zero(c, i + 2, c.dtype(i));
}

// Checks the result's scale at input `i` and zero point after it; results have the type of `like`.
inline void expect_result(const OpContext& c, int i, DType like) {
  if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " (the result's scale) is missing");
  expect_scale(c, i);
  expect_zero(c, i + 1, like);
}

// The scale at input `i` and the zero point at the next one.
inline QuantParameter parameter(const RunContext& run, int i, DType dtype) {
  QuantParameter p;
  p.scale = *run.in<float>(i);
  const bool has_zero = run.has_in(i + 1);
  if (has_zero)
    p.zero = dtype == DType::kUInt8 ? *run.in<std::uint8_t>(i + 1) : *run.in<std::int8_t>(i + 1);
  return p;
}

// clamp(round(value / scale) + zero) for one value; NaN gives the zero point.
template <class T>
T quantized(float value, QuantParameter p) {
  const float low = static_cast<float>(std::numeric_limits<T>::min() - p.zero);
  const float high = static_cast<float>(std::numeric_limits<T>::max() - p.zero);
  const float v = value / p.scale;
  const float bounded = v != v ? 0.0f : v < low ? low : v > high ? high : v;
  return static_cast<T>(static_cast<std::int32_t>(std::nearbyint(bounded)) + p.zero);
}

// Result for each byte; indexed by the operand's bits.
template <class T>
using ByteTable = std::array<T, 256>;

// y = quantized(f(x)) for every x of type T.
template <class T, class F>
ByteTable<T> byte_table(QuantParameter x, QuantParameter y, F&& f) {
  ByteTable<T> table;
  for (int bits = 0; bits < 256; ++bits) {
    const T value = static_cast<T>(static_cast<std::uint8_t>(bits));
    table[static_cast<std::size_t>(bits)] =
        quantized<T>(f(static_cast<float>(value - x.zero) * x.scale), y);
  }
  return table;
}

template <class T>
void apply_table(const ByteTable<T>& table, const T* x, std::int64_t n, T* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = table[static_cast<std::uint8_t>(x[i])];
}

}  // namespace lanewise
