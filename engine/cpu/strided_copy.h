// Copies a box of elements between two arrays of any strides: what transposes, slices, joins and
// broadcasts are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/cpu.h"
#include "engine/graph/context.h"

namespace lanewise {

// Strides in elements, one for each dimension of the shape in the shape's own order.
std::vector<std::int64_t> layout_strides(const Shape& shape, Layout layout);

// The same for a value that may lie inside another one: its pixels are as far apart as those.
std::vector<std::int64_t> value_strides(const ValueInfo& value);

// A dimension of the box. Strides are in elements; `in_stride` may be zero or negative.
struct CopyDim {
  std::int64_t size = 1, in_stride = 0, out_stride = 0;
};

// The dimensions of a box of this shape; the strides in the shape's own order.
std::vector<CopyDim> box(const Shape& shape, const std::vector<std::int64_t>& in_strides,
                         const std::vector<std::int64_t>& out_strides);

// The same box with the fewest dimensions: those of size one dropped, the others ordered by output
// stride, outermost first, and neighbours merged that are one run in both arrays.
std::vector<CopyDim> merged_box(std::vector<CopyDim> dims);

class StridedCopy {
 public:
  // No two elements of the box may have the same place in the output.
  StridedCopy(std::vector<CopyDim> dims, DType dtype, Isa isa);

  // `in` and `out` are the arrays; the offsets, in elements, of the box's first element follow.
  void run(const void* in, std::int64_t in_offset, void* out, std::int64_t out_offset,
           int threads) const;

  // "copy", "transpose" or "strided copy": what the inner loops do.
  std::string algorithm() const;

 private:
  // Copies a block of dimensions `row_` and `column_`; the pointers are at its first element.
  using InnerFn = void (*)(const StridedCopy& copy, const std::byte* in, std::byte* out,
                           std::int64_t rows, std::int64_t columns);
  template <class T>
  static void copy_block(const StridedCopy& copy, const std::byte* in, std::byte* out,
                         std::int64_t rows, std::int64_t columns);
  static void transpose_block(const StridedCopy& copy, const std::byte* in, std::byte* out,
                              std::int64_t rows, std::int64_t columns);
  void choose_inner(std::vector<CopyDim> dims, DType dtype, Isa isa);
  void run_blocks(const std::byte* in, std::byte* out, std::int64_t begin, std::int64_t end) const;

  std::vector<CopyDim> outer_;
  CopyDim row_, column_;
  std::int64_t block_rows_ = 1, block_columns_ = 1;  // that one call of inner_ copies
  std::int64_t blocks_ = 0;                          // of the whole box
  std::int64_t element_ = 1;                         // bytes that move together
  std::int64_t element_bytes_ = 1;
  InnerFn inner_ = nullptr;
  void (*transpose_)(const void*, std::int64_t, void*, std::int64_t, std::int64_t,
                     std::int64_t) noexcept = nullptr;
};

}  // namespace lanewise
