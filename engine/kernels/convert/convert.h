// Conversions between 16-bit floats and float32, with the results of base/half.h.
#pragma once

#include <cstdint>

namespace lanewise {
enum class Isa : unsigned char;
}

namespace lanewise::kernels {

// n elements from `in` to `out`, which do not overlap.
using HalvesRun = void (*)(const void* in, void* out, std::int64_t n) noexcept;

struct Halves {
  HalvesRun half_to_float;
  HalvesRun float_to_half;
  HalvesRun bfloat_to_float;
  HalvesRun float_to_bfloat;
};

const Halves& halves(Isa isa);

}  // namespace lanewise::kernels
