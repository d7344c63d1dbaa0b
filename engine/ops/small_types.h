// Numbers of 8 bits and fewer that C++ has no type for: floats of 8, 6 and 4 bits (Micikevicius et
// al. 2022; OCP Microscaling Formats 1.0), 4-bit and 2-bit integers, one element per byte.
#pragma once

#include <cstdint>

#include "engine/base/dtype.h"

namespace lanewise {

bool is_small(DType type);

struct SmallRounding {
  bool saturate = true;             // 8-bit floats: the largest value, not infinity or NaN
  bool up = true, nearest = false;  // float8e8m0: away from zero, to nearest; else toward zero
};

// Exact.
float decode_small(DType type, std::uint8_t code);

// Rounds to nearest even. Integers keep their low bits; the byte's others are zero.
std::uint8_t encode_small(DType type, float value, const SmallRounding& rounding);

}  // namespace lanewise
