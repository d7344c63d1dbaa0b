// Float32 kernels that combine many elements into one, and softmax. Sums are taken in float32 over
// blocks of fixed size and in float64 over the blocks, so that the order never depends on threads.
#pragma once

#include <cstdint>

namespace lanewise {
enum class Isa : unsigned char;
}

namespace lanewise::kernels {

// A NaN among the elements is the result of kMax and kMin.
enum class Reduction : std::uint8_t { kSum, kSumAbs, kSumSquare, kMax, kMin, kCount };

// The neutral element: 0, or the infinity that any number replaces.
static inline double reduction_start(Reduction r) {
  if (r == Reduction::kMax) return -__builtin_inf();
  return r == Reduction::kMin ? __builtin_inf() : 0.0;
}

// Combines n adjacent elements.
using ReduceRowRun = double (*)(const float* x, std::int64_t n) noexcept;
struct ReduceRow {
  ReduceRowRun run[static_cast<int>(Reduction::kCount)];
};

// Combines each column of `rows` by `cols` elements with what `total` holds.
using ReduceColumnsRun = void (*)(const float* x, std::int64_t rows, std::int64_t row_stride,
                                  double* total, std::int64_t cols) noexcept;
struct ReduceColumns {
  ReduceColumnsRun run[static_cast<int>(Reduction::kCount)];
};

// `rows` groups of n elements, `inner` groups side by side: element k of group j is
// x[row * n * inner + k * inner + j]. x and y may be the same memory.
using SoftmaxRun = void (*)(const float* x, float* y, std::int64_t rows, std::int64_t n,
                            std::int64_t inner) noexcept;
struct Softmax {
  SoftmaxRun softmax;
  SoftmaxRun log_softmax;
};

const ReduceRow& reduce_row(Isa isa);
const ReduceColumns& reduce_columns(Isa isa);
const Softmax& softmax(Isa isa);

}  // namespace lanewise::kernels
