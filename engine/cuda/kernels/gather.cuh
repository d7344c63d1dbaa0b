// What gather.cu moves: slices chosen by indices that are data.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// y[outer][index][inner] = x[outer][indices[index]][inner]
struct GatherCall {
  const void *x = nullptr, *indices = nullptr;
  void* y = nullptr;
  bool wide = true;  // indices are of 64 bits
  unsigned elements = 0;
  int axis = 0;  // its size
  Divisor inner, count;
  IndexCheck check;
};

// Elements that an index of one axis moves along: y[i] = x[i with the axis' coordinate replaced].
// For scatter, y[the place] becomes, or grows by, updates[i].
struct ElementsCall {
  const void *x = nullptr, *indices = nullptr;  // of scatter: the updates
  void* y = nullptr;
  bool wide = true;
  unsigned elements = 0;  // of the indices
  int axis = 0, size = 0;
  Dims dims;                    // of the indices
  int strides[kMostDims] = {};  // of what is gathered from, or scattered to
  IndexCheck check;
};

// Tuples of `depth` indices that choose slices of `slice` elements.
struct TuplesCall {
  const void *x = nullptr, *indices = nullptr;
  void* y = nullptr;
  bool wide = true;
  unsigned elements = 0;  // tuples times slice
  Divisor slice, tuples;  // tuples of one batch
  int depth = 0;
  int batch_stride = 0;  // elements of x between batches
  int size[kMostDims] = {}, stride[kMostDims] = {};
  IndexCheck check;
};

}  // namespace lanewise::cuda
