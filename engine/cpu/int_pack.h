// Weights of integer products: zero points subtracted, in the order that kernels/quant reads; and
// the reading of quantisation parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/op.h"
#include "engine/kernels/quant/quant.h"

namespace lanewise {

// A matrix for each tap: element (tap, depth, column) of an array of 8-bit numbers.
struct IntWeights {
  const void* data = nullptr;
  DType dtype = DType::kInt8;
  std::int64_t columns = 0, taps = 1, depth = 0;
  std::int64_t column_stride = 1, tap_stride = 0, depth_stride = 1;
};

// Elements (int16) of packed weights: whole panels, pairs of depth.
std::int64_t packed_int_size(const IntWeights& w, int panel);

// [panel][tap][pair][column][2] for kernels::IntTile. `zeros` has one entry or one per column.
void pack_int_weights(const IntWeights& w, const std::vector<std::int32_t>& zeros, int panel,
                      std::int16_t* out);

// [tap][column padded to kDepthwiseChannels] for IntProduct::depthwise; the depth is 1.
void pack_depthwise_weights(const IntWeights& w, const std::vector<std::int32_t>& zeros,
                            std::int32_t* out);

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
