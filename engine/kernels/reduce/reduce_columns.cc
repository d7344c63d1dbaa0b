// isas: baseline avx2 avx512
// Reductions along a stride: each vector lane is a column of its own.
#include "engine/kernels/reduce/combine.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::Reduction;

constexpr std::int64_t kBlockRows = 64;  // terms of one float32 sum

template <Reduction r>
LANEWISE_INLINE void add_lanes(const Running& running, double* total, int lanes) {
  const F32 v = result<r>(running);
  for (int i = 0; i < lanes; ++i) total[i] = combine<r>(total[i], static_cast<double>(v[i]));
}

// `packs` vectors of columns over up to kBlockRows rows.
template <Reduction r, int packs>
LANEWISE_INLINE void columns(const float* x, std::int64_t rows, std::int64_t row_stride,
                             double* total) {
  Running running[packs];
  for (Running& each : running) each = {start<r>(), I32{}};
  for (std::int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 4
    for (int j = 0; j < packs; ++j) take<r>(running[j], load(x + row * row_stride + j * kLanes));
  }
#pragma GCC unroll 4
  for (int j = 0; j < packs; ++j) add_lanes<r>(running[j], total + j * kLanes, kLanes);
}

template <Reduction r>
LANEWISE_INLINE void last_columns(const float* x, std::int64_t rows, std::int64_t row_stride,
                                  double* total, int cols) {
  Running running{start<r>(), I32{}};
  for (std::int64_t row = 0; row < rows; ++row)
    take<r>(running, load_first(x + row * row_stride, cols));
  add_lanes<r>(running, total, cols);
}

template <Reduction r>
void run(const float* x, std::int64_t rows, std::int64_t row_stride, double* total,
         std::int64_t cols) noexcept {
  for (std::int64_t row = 0; row < rows; row += kBlockRows) {
    const float* block = x + row * row_stride;
    const std::int64_t size = rows - row < kBlockRows ? rows - row : kBlockRows;
    std::int64_t col = 0;
    for (; col + 4 * kLanes <= cols; col += 4 * kLanes)
      columns<r, 4>(block + col, size, row_stride, total + col);
    for (; col + kLanes <= cols; col += kLanes)
      columns<r, 1>(block + col, size, row_stride, total + col);
    if (col < cols)
      last_columns<r>(block + col, size, row_stride, total + col, static_cast<int>(cols - col));
  }
}

}  // namespace

extern const kernels::ReduceColumns reduce_columns;
constexpr kernels::ReduceColumns reduce_columns = {{run<Reduction::kSum>, run<Reduction::kSumAbs>,
                                                    run<Reduction::kSumSquare>,
                                                    run<Reduction::kMax>, run<Reduction::kMin>}};

}  // namespace lanewise::LANEWISE_ISA
