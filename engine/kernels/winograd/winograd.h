// The transforms of Winograd's minimal filtering for 3 x 3 convolution (Winograd 1980; Lavin & Gray
// 2016): a tile of pixels to and from its frequencies, vectors along the channels. The products
// between them, blocks and threads are in engine/cpu/conv/winograd.cc.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// F(m x m, 3 x 3) interpolates polynomials at m + 1 points and at infinity: 0, +-1 for m = 2 and
// 0, +-kNear, +-kFar for m = 4. Any points give the same result but for rounding; these, of a few
// bits each, are about the best of their form (Barabasz et al. 2020 on the choice).
struct WinogradPoints {
  static constexpr double kNear = 0.625, kFar = 1.5;
};

// Pixels [m + 2][m + 2] of one tile to [m + 2][m + 2] frequencies.
struct WinogradInput {
  const float* in = nullptr;  // the tile's first pixel, which may lie outside the image
  std::int64_t row_step = 0, column_step = 0;
  // The part of the tile inside the image; the rest is zero and not read.
  int row_begin = 0, row_end = 0, column_begin = 0, column_end = 0;
  std::int64_t channels = 0;
  float* out = nullptr;  // frequency f at out + f * frequency_step, whole vectors of channels
  std::int64_t frequency_step = 0;
};

// Frequencies of one tile to its m x m outputs.
struct WinogradOutput {
  const float* in = nullptr;  // frequency f at in + f * frequency_step, whole vectors of channels
  std::int64_t frequency_step = 0;
  std::int64_t channels = 0;
  float* out = nullptr;
  std::int64_t row_step = 0, column_step = 0;
  int rows = 0, columns = 0;  // of the tile, inside the image; the others are not written
  Epilogue epilogue;          // at the first output; the residual's steps are the output's
};

struct WinogradF32 {
  struct Transforms {
    void (*input)(const WinogradInput&) noexcept;
    void (*output)(const WinogradOutput&) noexcept;
  };

  int lanes;
  Transforms tile2, tile4;
};

const WinogradF32& winograd_f32(Isa isa);

}  // namespace lanewise::kernels
