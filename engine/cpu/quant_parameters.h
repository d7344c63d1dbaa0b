// Scales and zero points: reading and checking them, and the kernels for the numbers they belong
// to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/op.h"
#include "engine/kernels/quant/quant.h"

namespace lanewise {

// The integers of an array of int8, uint8, int16, uint16 or int32; {0} for a null pointer.
std::vector<std::int32_t> read_zeros(DType dtype, const void* data, std::int64_t count);

// Names the values in a cache key.
std::string zeros_key(const std::vector<std::int32_t>& zeros);

// The rows of kernels for T.
template <class T>
const kernels::QuantRows<T>& quant_rows(const kernels::Quantize& table) {
  if constexpr (std::is_same_v<T, std::uint8_t>) return table.u8;
  if constexpr (std::is_same_v<T, std::int8_t>) return table.s8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return table.u16;
  if constexpr (std::is_same_v<T, std::int16_t>) return table.s16;
}

// Calls f(std::type_identity<T>{}) for uint8 or int8.
template <class F>
void visit_byte(DType dtype, F&& f) {
  dtype == DType::kUInt8 ? f(std::type_identity<std::uint8_t>{})
                         : f(std::type_identity<std::int8_t>{});
}

// Checks of inputs that quantised operators share; absent inputs pass.
void expect_scale(const OpContext& c, int i, std::int64_t count = 1);  // 1 value, or `count`
void expect_zero(const OpContext& c, int i, DType dtype, std::int64_t count = 1);
void expect_bytes(const OpContext& c, int i);  // int8 or uint8

}  // namespace lanewise
