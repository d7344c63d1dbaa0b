// isas: baseline avx2 avx512
// Branch-free forms of the conversions, which the compiler vectorises: integer arithmetic, so that
// every ISA gives the same bits, NaN's included.
#include "engine/kernels/convert/convert.h"
#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {
namespace {

LANEWISE_INLINE float as_float(std::int32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
LANEWISE_INLINE std::int32_t as_bits(float value) {
  std::int32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

void half_to_float(const void* in, void* out, std::int64_t n) noexcept {
  const auto* const __restrict x = static_cast<const std::uint16_t*>(in);
  auto* const __restrict y = static_cast<std::uint32_t*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t magnitude = x[i] & 0x7fff;
    const std::uint32_t sign = static_cast<std::uint32_t>(x[i] & 0x8000) << 16;
    const std::uint32_t shifted = static_cast<std::uint32_t>(magnitude) << 13;
    const auto tiny =  // subnormal
        static_cast<std::uint32_t>(as_bits(static_cast<float>(magnitude) * 0x1p-24f));
    const std::uint32_t usual = shifted + 0x38000000u;
    const std::uint32_t special = shifted | 0x7f800000u;  // infinity and NaN
    const std::uint32_t finite = magnitude < 0x400 ? tiny : usual;
    y[i] = (magnitude >= 0x7c00 ? special : finite) | sign;
  }
}

void float_to_half(const void* in, void* out, std::int64_t n) noexcept {
  const auto* const __restrict x = static_cast<const std::int32_t*>(in);
  auto* const __restrict y = static_cast<std::int16_t*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t magnitude = x[i] & 0x7fffffff;
    const std::int32_t sign = x[i] >> 16 & 0x8000;
    // Below the least normal number the sum with 0.5 rounds at the subnormal's unit; larger numbers
    // are kept out of it.
    const std::int32_t low = magnitude < 0x38800000 ? magnitude : 0;
    const std::int32_t tiny = as_bits(as_float(low) + 0.5f) - 0x3f000000;
    const std::int32_t usual = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    const std::int32_t nan = 0x7e00 | (magnitude >> 13 & 0x3ff);
    const std::int32_t small = magnitude < 0x38800000 ? tiny : usual;
    const std::int32_t finite = magnitude >= 0x477ff000 ? 0x7c00 : small;
    y[i] = static_cast<std::int16_t>((magnitude > 0x7f800000 ? nan : finite) | sign);
  }
}

void bfloat_to_float(const void* in, void* out, std::int64_t n) noexcept {
  const auto* const __restrict x = static_cast<const std::uint16_t*>(in);
  auto* const __restrict y = static_cast<std::uint32_t*>(out);
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<std::uint32_t>(x[i]) << 16;
}

void float_to_bfloat(const void* in, void* out, std::int64_t n) noexcept {
  const auto* const __restrict x = static_cast<const std::uint32_t*>(in);
  auto* const __restrict y = static_cast<std::uint16_t*>(out);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t rounded = (x[i] + 0x7fffu + (x[i] >> 16 & 1u)) >> 16;
    const std::uint32_t nan = x[i] >> 16 | 0x40u;
    y[i] = static_cast<std::uint16_t>((x[i] & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

}  // namespace

extern const kernels::Halves halves;
const kernels::Halves halves = {half_to_float, float_to_half, bfloat_to_float, float_to_bfloat};

}  // namespace lanewise::LANEWISE_ISA
