// Products of 8-bit numbers with exact int32 sums, requantised while they are in registers: a
// register tile for matrix products and convolutions, and depthwise convolution. What zero points
// add is the caller's to work out (engine/cpu/bytes).
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

enum class ByteResult : std::uint8_t { kSums, kUnsigned, kSigned };

// What becomes of the int32 sums: themselves, or clamp(round(sum * scale + shift) + zero) with
// halves to even. Arrays are in the order of the kernel's columns (byte_column).
struct ByteOutput {
  ByteResult type = ByteResult::kSums;
  const float* scales = nullptr;
  const float* shifts = nullptr;             // or null for zeros
  std::int32_t zero = 0, low = 0, high = 0;  // the clamp, zero included
};

// C[r, j] = starts[j] + row_adds[r] factors[j] + sum over taps t, depth i of
// rows[t * row_step + r][offset + i] w[t, i, j], modulo 2^32. Activations are unsigned and weights
// signed bytes, or the other way round.
struct ByteTile {
  std::int64_t count = 0;  // rows
  const std::uint8_t* const* rows = nullptr;
  std::int64_t row_step = 0, taps = 1, depth = 0, offset = 0;
  const std::uint8_t* panel = nullptr;     // [tap][depth / 4, rounded up][column][4]
  const std::int32_t* starts = nullptr;    // one for each column
  const std::int32_t* row_adds = nullptr;  // or null for zeros
  const std::int32_t* factors = nullptr;   // or null for ones
  void* out = nullptr;                     // int32 or bytes, as output.type says
  std::int64_t ldc = 0;                    // elements between rows
  int columns = 0;                         // of C: those past them are not written
  // Fetched into the second level meanwhile, a cache line for each step of the depth.
  const std::uint8_t* ahead = nullptr;
  std::int64_t ahead_bytes = 0;
  ByteOutput output;
};

// The column that stands at a place of a panel of `vectors` vectors: in four vectors, the order
// from which packing makes sequences of bytes.
constexpr int byte_column(int vectors, int lanes, int place) {
  const int vector = place / lanes, lane = place % lanes;
  return vectors == 4 ? 16 * (lane / 4) + 4 * vector + lane % 4 : place;
}

struct ByteGemm {
  static constexpr int kMaxVectors = 4;
  using Tile = void (*)(const ByteTile&) noexcept;

  int lanes;                       // columns of a vector
  Tile tiles[2][kMaxVectors + 1];  // [activations are signed][vectors of the panel]
  int rows[kMaxVectors + 1];       // of a register tile
  // out[r] = the sum of row r's activations over all taps; of the tile, the rows count.
  void (*row_sums[2])(const ByteTile&, std::int32_t* out) noexcept;
};
const ByteGemm& byte_gemm(Isa isa);

// One output row of a depthwise convolution. Weights are signed.
struct ByteDepthwiseRow {
  const std::uint8_t* const* rows = nullptr;  // the image's row under each kernel row, or null
  const std::uint8_t* nothing = nullptr;      // a pixel of padding
  std::uint8_t flip = 0;                      // 0x80 for signed activations: they count from -128
  std::int64_t width = 0, channels = 0;
  std::int64_t kernel_rows = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
  // [channels / chunk][kernel rows / 4][kernel][place in the chunk][4 kernel rows]
  const std::int8_t* weights = nullptr;
  const std::int32_t* starts = nullptr;   // of each place of each chunk, as the output's arrays
  const std::int32_t* factors = nullptr;  // times the sum of activations; null for zeros
  void* out = nullptr;
  std::int64_t out_width = 0;
  ByteOutput output;
};

struct ByteDepthwise {
  int lanes;  // a chunk is four vectors; places are those of byte_column
  void (*row)(const ByteDepthwiseRow&) noexcept;
};
const ByteDepthwise& byte_depthwise(Isa isa);

}  // namespace lanewise::kernels
