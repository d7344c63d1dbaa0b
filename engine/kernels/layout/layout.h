// Kernels that move elements without reading their values.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

// out[column * out_ld + row] = in[row * in_ld + column]; leading dimensions in elements. Addresses
// need no alignment. The arrays must not overlap.
using TransposeFn = void (*)(const void* in, std::int64_t in_ld, void* out, std::int64_t out_ld,
                             std::int64_t rows, std::int64_t columns) noexcept;

// Named by the bytes of an element.
struct Transpose {
  TransposeFn b1, b2, b4, b8, b16;
};

const Transpose& transpose(Isa isa);

// Rows of `count` elements from each of `groups` arrays, joined element by element:
// out[(row * count + i) * groups + g] = in[g][row * in_step + i]. An element has four bytes.
struct Interleave {
  static constexpr std::int64_t kMostGroups = 8;
  void (*b4)(const void* const* in, std::int64_t in_step, std::int64_t groups, std::int64_t count,
             std::int64_t rows, void* out) noexcept;
};

const Interleave& interleave(Isa isa);

}  // namespace lanewise::kernels
