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

}  // namespace lanewise::kernels
