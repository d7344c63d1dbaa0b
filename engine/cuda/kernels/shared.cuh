// What device sources and the host code that launches them both know: division by a number that is
// known while planning, and arrays with strides. No CUDA, no standard headers.
#pragma once

namespace lanewise::cuda {

// Division of numbers below 2^31 by multiplication (Granlund & Montgomery, PLDI 1994): integer
// division takes a device dozens of instructions. See divided() in numbers.cuh.
struct Divisor {
  unsigned divisor = 1, factor = 0, shift = 0;
};

#ifndef __CUDACC_RTC__
inline Divisor divisor_of(unsigned d) {
  Divisor made;
  if (d == 0) return made;  // a dimension of no elements, which no thread divides by
  made.divisor = d;
  while ((1ull << made.shift) < d) ++made.shift;
  made.factor = (unsigned)(((1ull << 32) * ((1ull << made.shift) - d)) / d + 1);
  return made;
}
#endif

constexpr int kMostDims = 8;

// Dimensions outermost first; strides in elements.
struct Dims {
  int rank = 0;
  Divisor size[kMostDims];
};

// Where a kernel says that an index lies outside its axis: it puts `code` at `fault`, and goes on
// with the first element.
struct IndexCheck {
  int* fault = nullptr;
  int code = 0;
};

}  // namespace lanewise::cuda
