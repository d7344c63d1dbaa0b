// What reduce.cu computes: one number from all elements along some axes, or where the largest lies.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

enum class Reduction : int {
  kSum,
  kMean,
  kMax,
  kMin,
  kProduct,
  kSquares,
  kL1,
  kL2,
  kLogSum,
  kLogSumExp
};

struct ReduceCall {
  const void* x = nullptr;
  void* y = nullptr;
  Reduction kind = Reduction::kSum;
  unsigned results = 0, length = 0;  // each result is made from `length` elements
  Dims kept, reduced;
  int kept_stride[kMostDims] = {}, reduced_stride[kMostDims] = {};
};
constexpr int kReduceColumns = 32, kReduceParts = 8;  // threads of a block of reduce_columns

// The place of the largest (or smallest) of `length` elements, `inner` apart.
struct ArgCall {
  const void* x = nullptr;
  long long* y = nullptr;
  unsigned results = 0, length = 0;
  Divisor inner;
  bool smallest = false, last = false;
};

}  // namespace lanewise::cuda
