// What copy.cu moves: elements of 1, 2, 4 or 8 bytes from one strided place to another, or by
// tables of indices.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// Element (i0, i1, ...) goes from x + sum of from(d) * x_stride[d] to y + sum of i_d * y_stride[d],
// where from(d) is i_d, or table[d][i_d]; an index of -1 there takes `fill`, and so does everything
// where x is null.
struct CopyCall {
  const void* x = nullptr;
  void* y = nullptr;
  const void* fill = nullptr;  // one element on the device; null for zero
  unsigned elements = 0;
  bool tables = false;
  Dims dims;
  int x_stride[kMostDims] = {}, y_stride[kMostDims] = {};
  const int* table[kMostDims] = {};
};

// y[b][c][r] = x[b][r][c]
struct TransposeCall {
  const void* x = nullptr;
  void* y = nullptr;
  unsigned batch = 0, rows = 0, columns = 0;
};
constexpr int kTile = 32, kTileRows = 8;  // a block is kTile x kTileRows threads

}  // namespace lanewise::cuda
