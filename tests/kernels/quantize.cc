// Quantised rows, bit for bit: the order of the float32 operations is the kernels' promise.
#include <algorithm>
#include <limits>
#include <vector>

#include "engine/kernels/quant/quant.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

using kernels::QuantRange;

// clamp(round(v) + zero), halves to even; NaN gives the zero point.
double rounded(float v, std::int32_t zero, QuantRange range) {
  if (std::isnan(v)) return zero;
  const double nearest = std::nearbyint(double{v}) + zero;
  return std::min(std::max(nearest, double(range.low)), double(range.high));
}

template <class T>
struct Rows {
  Case& c;
  const kernels::QuantRows<T>& kernel;
  std::int64_t n = c.size(16, 5, 0);
  QuantRange range{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};

  T draw() { return static_cast<T>(c.pick(range.low, range.high)); }
  float draw_scale() { return static_cast<float>(c.uniform(0.01, 0.1)); }
  const T* draw_row(std::int64_t count) {
    return c.filled<T>(count, [this](std::int64_t) { return draw(); });
  }
  void describe(const char* what) {
    c.describe("%s of %ld, %zu bytes, from %d", what, static_cast<long>(n), sizeof(T), range.low);
  }
  kernels::QuantScale draw_scales(std::int64_t count) {
    return {c.filled<float>(count, [this](std::int64_t) { return draw_scale(); }),
            c.filled<std::int32_t>(count, [this](std::int64_t) { return draw(); }), count != 1};
  }

  void quantize() {
    if (c.flip()) range = {range.low / 16, range.high / 16};  // a narrower type in whole bytes
    describe("quantize");
    const kernels::QuantScale q = draw_scales(c.flip() ? n + 2 : 1);
    const double reach = 0.1 * (double(range.high) - range.low);
    const float* x = c.filled<float>(n, [&](std::int64_t) {
      switch (c.pick(0, 15)) {
        case 0: return std::numeric_limits<float>::quiet_NaN();
        case 1: return c.flip() ? INFINITY : -INFINITY;
        case 2: return 0.05f * static_cast<float>(c.pick(-9, 9));  // near halves
        default: return static_cast<float>(c.uniform(-reach, reach));
      }
    });
    T* y = c.room<T>(n);
    kernel.quantize(n, x, q, range, y);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t j = q.each ? i : 0;
      c.expect(y[i], rounded(x[i] / q.scale[j], q.zero[j], range), 0.0, "output", i);
    }
  }

  void dequantize() {
    describe("dequantize");
    const kernels::QuantScale q = draw_scales(c.flip() ? n + 2 : 1);
    const T* x = draw_row(n);
    auto* y = c.room<float>(n);
    kernel.dequantize(n, x, q, y);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t j = q.each ? i : 0;
      c.expect(y[i], static_cast<float>(x[i] - q.zero[j]) * q.scale[j], 0.0, "output", i);
    }
  }

  void requantize() {
    describe("requantize");
    const auto* sums =
        c.filled<std::int32_t>(n, [&](std::int64_t) { return c.pick(-1000000, 1000000); });
    const auto* bias = c.filled<std::int32_t>(n, [&](std::int64_t) { return c.pick(-999, 999); });
    const bool has_bias = c.flip();
    const float* scales = c.filled<float>(n, [&](std::int64_t) { return draw_scale() * 0.01f; });
    const std::int32_t zero = draw();
    T* y = c.room<T>(n);
    kernel.requantize(n, sums, has_bias ? bias : nullptr, scales, zero, y);
    for (std::int64_t i = 0; i < n; ++i) {
      const float v = static_cast<float>(sums[i] + (has_bias ? bias[i] : 0)) * scales[i];
      c.expect(y[i], rounded(v, zero, range), 0.0, "output", i);
    }
  }

  void accumulate() {
    describe("accumulate");
    const T* x = draw_row(n);
    const std::int32_t zero = draw();
    auto* sums = c.room<std::int32_t>(n);
    std::fill_n(sums, n, 7);
    kernel.accumulate(n, x, zero, sums);
    for (std::int64_t i = 0; i < n; ++i) {
      c.expect(sums[i], 7 + x[i] - zero, 0.0, "sum", i);
    }
  }

  void binary(bool add) {
    describe(add ? "add" : "multiply");
    kernels::QuantBinary p;
    p.a_scale = draw_scale();
    p.b_scale = draw_scale();
    p.a_zero = draw();
    p.b_zero = draw();
    p.zero = draw();
    const std::int64_t repeated = c.pick(0, 2);  // one operand, or none
    p.a_step = repeated == 1 ? 0 : 1;
    p.b_step = repeated == 2 ? 0 : 1;
    const T* a = draw_row(p.a_step == 0 ? 1 : n);
    const T* b = draw_row(p.b_step == 0 ? 1 : n);
    T* y = c.room<T>(n);
    (add ? kernel.add : kernel.multiply)(n, a, b, p, y);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t left = a[i * p.a_step] - p.a_zero, right = b[i * p.b_step] - p.b_zero;
      const float v =
          add ? static_cast<float>(left) * p.a_scale + static_cast<float>(right) * p.b_scale
              : static_cast<float>(left * right) * p.a_scale;
      c.expect(y[i], rounded(v, p.zero, range), 0.0, "output", i);
    }
  }

  void run() {
    // 16-bit types have the first three alone.
    switch (c.pick(0, sizeof(T) == 1 ? 5 : 2)) {
      case 0: return quantize();
      case 1: return dequantize();
      case 2: return requantize();
      case 3: return accumulate();
      case 4: return binary(true);
      default: return binary(false);
    }
  }
};

void test_extremes(Case& c, const kernels::Quantize& kernel) {
  const std::int64_t n = c.size(16, 5, 0);
  c.describe("extremes of %ld", static_cast<long>(n));
  const float* x = c.floats(n);
  float low = c.number(), high = low;
  double least = low, most = high;
  for (std::int64_t i = 0; i < n; ++i) {
    least = std::min(least, double{x[i]});
    most = std::max(most, double{x[i]});
  }
  kernel.extremes(n, x, &low, &high);
  c.expect(low, least, 0.0, "least");
  c.expect(high, most, 0.0, "most");
}

void test_dequantize_s32(Case& c, const kernels::Quantize& kernel) {
  const std::int64_t n = c.size(16, 5, 0);
  c.describe("dequantize of %ld int32", static_cast<long>(n));
  const auto* x = c.filled<std::int32_t>(n, [&](std::int64_t) { return c.pick(-99999, 99999); });
  const float* scale = c.filled<float>(1, [](std::int64_t) { return 0.03f; });
  const auto* zero = c.filled<std::int32_t>(1, [](std::int64_t) { return 0; });
  auto* y = c.room<float>(n);
  kernel.dequantize_s32(n, x, {scale, zero, false}, y);
  for (std::int64_t i = 0; i < n; ++i)
    c.expect(y[i], static_cast<float>(x[i]) * 0.03f, 0.0, "output", i);
}

}  // namespace

void test_quantize(Case& c) {
  const kernels::Quantize& kernel = kernels::quantize(c.isa());
  switch (c.pick(0, 5)) {
    case 0: return Rows<std::uint8_t>{c, kernel.u8}.run();
    case 1: return Rows<std::int8_t>{c, kernel.s8}.run();
    case 2: return Rows<std::uint16_t>{c, kernel.u16}.run();
    case 3: return Rows<std::int16_t>{c, kernel.s16}.run();
    case 4: return test_extremes(c, kernel);
    default: return test_dequantize_s32(c, kernel);
  }
}

}  // namespace lanewise::testing
