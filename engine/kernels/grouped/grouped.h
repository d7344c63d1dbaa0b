// Group convolution with fewer channels per group than a vector has lanes (Xie et al. 2017): one
// vector holds several whole groups.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// As GemmTile, for one vector of channels: output lane l sums over taps t and i < g, in order, the
// input channel of its own group, rows[t * row_step + r][offset + l / g * g + i], times
// weights[t][i][l].
struct GroupedTile {
  const float* const* rows = nullptr;
  std::int64_t row_step = 0;
  std::int64_t taps = 1;
  std::int64_t offset = 0;
  const float* weights = nullptr;
  float* c = nullptr;
  std::int64_t ldc = 0;
  int columns = 0;  // at most the number of lanes; zeros stand for input channels past them
  Epilogue epilogue;
};

struct GroupedF32 {
  static constexpr int kSizes = 4;
  static constexpr int kMaxRows = 12;
  using Tile = void (*)(const GroupedTile&) noexcept;

  int lanes;
  // tiles[s] is for groups of 2 << s channels, or null where those fill a vector: by one row, four
  // rows and twelve rows.
  Tile tiles[kSizes][3];
};

const GroupedF32& grouped_f32(Isa isa);

}  // namespace lanewise::kernels
