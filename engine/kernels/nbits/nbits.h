// Products with weights of a few bits that share a scale in blocks: weights are unpacked in
// registers, beside the multiplication. Which rows and columns is the caller's
// (engine/ops/matmul_n_bits.cc).
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

// Columns of weights, each `blocks` blocks of `block_bytes` bytes; a byte holds 8 / bits weights of
// that column, the first in its lowest bits. A weight is (q - zero) * scale.
struct NBitsColumns {
  const std::uint8_t* data = nullptr;
  std::int64_t blocks = 0, block_bytes = 0;
  const float* scales = nullptr;  // [column][block]
  const float* zeros = nullptr;   // likewise, or null for `zero`
  float zero = 0.0f;
};

// out[r, j] = sum over bytes i and weights p of a byte of x[r][p][i] w[j][i * (8 / bits) + p]: the
// activations of the p-th weights of all bytes are together, zeros past the depth.
struct NBitsProduct {
  static constexpr int kMostRows = 4;

  NBitsColumns w;  // from column 0 on
  const float* x = nullptr;
  std::int64_t row_step = 0, part_step = 0;  // floats between rows, and between values of p
  int rows = 1;                              // at most kMostRows
  std::int64_t columns = 0;
  float* out = nullptr;
  std::int64_t ldc = 0;
};

// Indexed by log2(bits) - 1, for 2, 4 and 8 bits.
struct Nbits {
  void (*product[3])(const NBitsProduct&) noexcept;
  // out[k] = the weight of depth k < depth of column 0.
  void (*expand[3])(const NBitsColumns&, std::int64_t depth, float* out) noexcept;
};
const Nbits& nbits(Isa isa);

}  // namespace lanewise::kernels
