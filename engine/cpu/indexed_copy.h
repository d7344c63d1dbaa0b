// Copies where, along every axis, a table names the source of each output index: padding of all
// kinds, nearest-neighbour resizing.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/graph/tensor.h"

namespace lanewise {

class IndexedCopy {
 public:
  // sources[axis][i] is the input index that output index i reads, -1 for the fill value. The axes
  // are in the shape's order.
  IndexedCopy(const Shape& in, Layout in_layout, Layout out_layout,
              const std::vector<std::vector<std::int64_t>>& sources, DType dtype);

  // `fill` points to one element.
  void run(const void* in, const void* fill, void* out, int threads) const;

 private:
  // One axis of the output in memory order: for each index the offset into the input, or -1.
  struct Axis {
    std::vector<std::int64_t> offsets;
    std::int64_t begin = 0, end = 0;  // indices that read consecutive elements: copied as one
  };

  std::int64_t row_offset(std::int64_t row) const;
  template <class T>
  void copy_row(const T* in, const T& fill, T* out) const;
  template <class T>
  void copy_rows(const T* in, const T& fill, T* out, int threads) const;

  DType dtype_;
  std::vector<Axis> axes_;  // outermost first; the last one is a row
  std::int64_t run_ = 1;    // elements, contiguous in both arrays, that move together
  std::int64_t rows_ = 1;   // product of the outer axes
};

// The longest stretch of a table that reads consecutive indices, as [begin, end).
std::pair<std::int64_t, std::int64_t> longest_stretch(const std::vector<std::int64_t>& sources);

}  // namespace lanewise
