// Codes of the small number types. No operator is here.
#include "engine/ops/small_types.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

// A sign bit, then exponent and mantissa; code 0 in the exponent is subnormal.
struct Format {
  int mantissa_bits = 0, bias = 0;
  std::uint8_t sign = 0;        // its bit
  std::uint8_t largest = 0;     // code of the largest finite value
  int infinity = -1, nan = -1;  // codes, -1 where there is none
};

Format format_of(DType type) {
  switch (type) {
    case DType::kFloat8E4M3FN: return {3, 7, 0x80, 0x7e, -1, 0x7f};
    case DType::kFloat8E4M3FNUZ: return {3, 8, 0x80, 0x7f, -1, 0x80};
    case DType::kFloat8E5M2: return {2, 15, 0x80, 0x7b, 0x7c, 0x7e};
    case DType::kFloat8E5M2FNUZ: return {2, 16, 0x80, 0x7f, -1, 0x80};
    case DType::kFloat6E2M3: return {3, 1, 0x20, 0x1f, -1, -1};
    case DType::kFloat6E3M2: return {2, 3, 0x20, 0x1f, -1, -1};
    default: return {1, 1, 0x08, 0x07, -1, -1};  // float4e2m1
  }
}

float decode_float(const Format& f, std::uint8_t code) {
  const std::uint8_t magnitude = code & static_cast<std::uint8_t>(f.sign - 1);
  const bool negative = (code & f.sign) != 0;
  if (f.nan == f.sign && code == f.nan) return std::numeric_limits<float>::quiet_NaN();
  if (f.infinity >= 0 && magnitude == f.infinity) return negative ? -INFINITY : INFINITY;
  if (magnitude > f.largest) return std::numeric_limits<float>::quiet_NaN();
  const int exponent = magnitude >> f.mantissa_bits,
            fraction = magnitude & ((1 << f.mantissa_bits) - 1);
  const int significand = exponent == 0 ? fraction : fraction + (1 << f.mantissa_bits);
  const float value =
      std::ldexp(static_cast<float>(significand), std::max(exponent, 1) - f.bias - f.mantissa_bits);
  return negative ? -value : value;
}

std::uint8_t encode_float(const Format& f, float value, bool saturate) {
  const bool unsigned_zero = f.nan == f.sign;  // the code of -0 means NaN
  const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? f.sign : 0);
  if (std::isnan(value)) {
    if (f.nan < 0) return f.sign;  // none below 8 bits: -0, as ml_dtypes does
    return static_cast<std::uint8_t>(unsigned_zero ? f.nan : f.nan | sign);
  }
  const float magnitude = std::abs(value);
  int code = f.largest + 1;
  if (std::isfinite(value)) {
    const int exponent = magnitude == 0 ? 1 - f.bias : std::max(std::ilogb(magnitude), 1 - f.bias);
    // In units of the last place; the code counts them on from those of lower exponents.
    const float units = std::nearbyint(std::ldexp(magnitude, f.mantissa_bits - exponent));
    const std::int64_t below = static_cast<std::int64_t>(exponent + f.bias - 1) << f.mantissa_bits;
    code = static_cast<int>(
        std::min<std::int64_t>(below + static_cast<std::int64_t>(units), f.largest + 1));
  }
  if (code > f.largest) {
    const bool clamps = saturate || (f.nan < 0 && f.infinity < 0);
    if (!clamps && unsigned_zero) return static_cast<std::uint8_t>(f.nan);
    code = clamps ? f.largest : (f.infinity >= 0 ? f.infinity : f.nan);
  }
  return static_cast<std::uint8_t>(code == 0 && unsigned_zero ? 0 : code | sign);
}

// float8e8m0 holds powers of two, 2^(code - 127); code 255 is NaN.
std::uint8_t encode_power(float value, const SmallRounding& rounding) {
  if (std::isnan(value)) return 255;
  const float magnitude = std::abs(value);
  if (std::isinf(magnitude)) return rounding.saturate ? 254 : 255;
  if (magnitude == 0) return rounding.saturate || rounding.up ? 0 : 255;
  int exponent = std::ilogb(magnitude);
  const float fraction = std::ldexp(magnitude, -exponent);  // [1, 2)
  if (rounding.nearest ? fraction >= 1.5f : rounding.up && fraction > 1.0f) ++exponent;
  if (exponent > 127) return rounding.saturate ? 254 : 255;
  if (exponent < -127) return rounding.saturate ? 0 : 255;
  return static_cast<std::uint8_t>(exponent + 127);
}

int integer_bits(DType type) { return type == DType::kInt4 || type == DType::kUInt4 ? 4 : 2; }

}  // namespace

bool is_small(DType type) { return type >= DType::kFloat8E4M3FN && type <= DType::kFloat6E3M2; }

float decode_small(DType type, std::uint8_t code) {
  switch (type) {
    case DType::kUInt4:
    case DType::kUInt2:
    case DType::kInt4:
    case DType::kInt2: {
      const int unused = 8 - integer_bits(type);  // what they hold is not defined
      const auto top = static_cast<std::uint8_t>(code << unused);
      const bool is_signed = type == DType::kInt4 || type == DType::kInt2;
      return static_cast<float>(is_signed ? static_cast<std::int8_t>(top) >> unused
                                          : top >> unused);
    }
    case DType::kFloat8E8M0:
      return code == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, code - 127);
    default: return decode_float(format_of(type), code);
  }
}

std::uint8_t encode_small(DType type, float value, const SmallRounding& rounding) {
  switch (type) {
    case DType::kUInt4:
    case DType::kUInt2:
    case DType::kInt4:
    case DType::kInt2: {
      const int mask = (1 << integer_bits(type)) - 1;
      return static_cast<std::uint8_t>(saturate_cast<std::int64_t>(value) & mask);
    }
    case DType::kFloat8E8M0: return encode_power(value, rounding);
    default: return encode_float(format_of(type), value, rounding.saturate);
  }
}

}  // namespace lanewise
