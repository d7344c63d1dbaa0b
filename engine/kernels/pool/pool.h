// Pooling of one output row: what the kernels of this folder, and the plain C++ versions for the
// other element types, are given.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/taps.h"

namespace lanewise::kernels {

// An image lies as [rows][width][channels]; rows of several spatial axes are counted through. A
// row-major plane is an image of one channel.
template <class T>
struct PoolRow {
  const T* in = nullptr;               // the image
  const std::int64_t* rows = nullptr;  // the input rows that this output row's windows cover
  std::int64_t row_count = 0;
  std::int64_t width = 0, channels = 0;
  T* out = nullptr;
  std::int64_t out_width = 0;
  // Along the width: output o covers o * stride - pad + k * dilation for k in [0, kernel).
  std::int64_t kernel = 1, stride = 1, dilation = 1, pad = 0;
  // The mean divides by `counted_rows` times the number of taps in [counted_begin, counted_end).
  std::int64_t counted_rows = 0, counted_begin = 0, counted_end = 0;
};

// Each function fills one output row. A NaN loses against every number in `max`; a window without
// taps gives minus infinity there, zero elsewhere. Sums are in the order of rows, then taps.
struct PoolF32 {
  void (*max)(const PoolRow<float>&) noexcept;
  void (*mean)(const PoolRow<float>&) noexcept;
  void (*l1)(const PoolRow<float>&) noexcept;  // sum |x|
  void (*l2)(const PoolRow<float>&) noexcept;  // sqrt(sum x^2)
};

const PoolF32& pool_f32(Isa isa);

// A window without taps gives the least number.
struct PoolBytes {
  void (*max_u8)(const PoolRow<std::uint8_t>&) noexcept;
  void (*max_s8)(const PoolRow<std::int8_t>&) noexcept;
};

const PoolBytes& pool_bytes(Isa isa);

}  // namespace lanewise::kernels
