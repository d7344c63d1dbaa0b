// Products of 8-bit numbers on the CPU: packed weights, what zero points add to their sums, and the
// panels of a block of rows. Which rows are multiplied is the caller's: matrices in
// engine/ops/qlinear_matmul.cc, windows in engine/ops/int_conv.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/cpu/byte_columns.h"
#include "engine/kernels/bytes/bytes.h"

namespace lanewise {

// A matrix for each tap: element (tap, depth, column) of an array of 8-bit numbers. The depth may
// consist of `run` taps in sequence, next to each other in the array. With several groups, a column
// meets only the depth of its own group, and the array holds no more.
struct ByteWeights {
  const void* data = nullptr;
  DType dtype = DType::kInt8;
  std::int64_t columns = 0, taps = 1, depth = 0;  // of all groups
  std::int64_t column_stride = 1, tap_stride = 0, depth_stride = 1;
  std::int64_t groups = 1, run = 1;
};

// The rows of a block as the tiles take them (kernels::ByteTile).
struct ByteRows {
  const std::uint8_t* const* table = nullptr;
  std::int64_t step = 0, offset = 0, count = 0;
  bool words = false;  // whole words of four bytes may be read of each row
};

// Where the products of a block go: arrays are in the order of places.
struct ByteTarget {
  void* out = nullptr;  // the block's row 0, column 0
  std::int64_t ldc = 0;
  const std::int32_t* starts = nullptr;
  kernels::ByteOutput output;
};

// Activations a of zero point za times weights w of zero point zw: weights are kept with the sign
// that the activations have not, which moves zw by 128 at most, and
//   sum (a - za)(w - zw) = sum a w - za (sum w - k zw) - zw sum a.
// The second term is part of `starts`, the third is added row by row where zw is not 0.
class ByteProduct {
 public:
  ByteProduct() = default;
  // `weights` without data.
  ByteProduct(Isa isa, bool signed_activations, const ByteWeights& weights);

  const ByteColumns& columns() const { return columns_; }
  std::int64_t tile_rows() const { return kernel_->rows[std::max(1, columns_.vectors_of(0))]; }
  std::size_t packed_bytes() const;
  // Everything the packed bytes depend on but for the weights and zero points themselves.
  std::string key() const;

  // `zeros` has one entry or one per column.
  void pack(const void* data, const std::vector<std::int32_t>& zeros, std::byte* to) const;

  // Of the places' weights, less their zero points.
  const std::int32_t* sums(const std::byte* packed) const;

  // Panels [begin, end) of the rows, on one thread; `row_adds` has room for a number for each row.
  void run(const ByteRows& rows, const std::byte* packed, std::int64_t begin, std::int64_t end,
           const ByteTarget& target, std::int32_t* row_adds) const;

 private:
  // What packed weights begin with.
  struct Header {
    bool zero_points = false;  // not all of them are 0
    bool one = true;           // they are the same for all columns
    std::int32_t zero = 0;
  };

  std::int64_t words() const { return (weights_.depth + 3) / 4; }
  std::size_t array_bytes() const;
  template <class T>
  void pack_columns(const T* data, const std::vector<std::int32_t>& zeros, std::byte* to) const;

  const kernels::ByteGemm* kernel_ = nullptr;
  bool signed_ = false;
  ByteWeights weights_;
  ByteColumns columns_;
};

}  // namespace lanewise
