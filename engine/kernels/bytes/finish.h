// From int32 sums to what ByteOutput asks for; shared by the kernels of this folder.
#pragma once

#include "engine/kernels/bytes/bytes.h"
#include "engine/simd/bytes.h"

namespace lanewise::LANEWISE_ISA {

// ByteOutput as registers hold it.
struct Finish {
  F32 most;   // bounds numbers from above before they become integers
  I32 least;  // and from below afterwards, before the zero point is added
  Narrowing narrowing;
};
LANEWISE_INLINE Finish finish_of(const kernels::ByteOutput& output) {
  return {splat(static_cast<float>(output.high - output.zero)), I32{} + (output.low - output.zero),
          narrowing(output.zero, output.low, output.high)};
}

LANEWISE_INLINE I32 rounded(const kernels::ByteOutput& output, const Finish& finish, U32 sum,
                            std::int64_t place) {
  F32 v = __builtin_convertvector(reinterpret_cast<I32>(sum), F32) * load(output.scales + place);
  if (output.shifts != nullptr) v += load(output.shifts + place);
  return nearest(min(v, finish.most));
}

// The sums of `kVectors` vectors whose first place is `place`, to the first `columns` elements.
template <int kVectors>
LANEWISE_INLINE void write_sums(const U32 (&sums)[kVectors], std::int32_t* to, int columns) {
  std::int32_t list[kVectors * kLanes];
  std::memcpy(list, sums, sizeof(list));
  for (int place = 0; place < kVectors * kLanes; ++place) {
    const int column = kernels::byte_column(kVectors, kLanes, place);
    if (column < columns) to[column] = list[place];
  }
}

template <int kVectors>
LANEWISE_INLINE void write_bytes(const kernels::ByteOutput& output, const Finish& finish,
                                 const U32 (&sums)[kVectors], std::int64_t place, std::uint8_t* to,
                                 int columns) {
  if constexpr (kVectors == 4) {
    I32 v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) v[j] = rounded(output, finish, sums[j], place + j * kLanes);
    store_bytes(to, narrow(v, finish.narrowing), columns);
  } else {
    // One vector at a time, whose lanes are columns in sequence.
    for (int j = 0; j < kVectors && j * kLanes < columns; ++j) {
      const I32 v = rounded(output, finish, sums[j], place + j * kLanes);
      const int rest = columns - j * kLanes;
      store_lanes(to + j * kLanes, (v > finish.least ? v : finish.least) + output.zero,
                  rest < kLanes ? rest : kLanes);
    }
  }
}

}  // namespace lanewise::LANEWISE_ISA
