// Sums, norms and extremes over contiguous rows and over the columns of a matrix, and the scaling
// that normalisation applies with them.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// Sums run in float32 over at most 64 elements per lane and in float64 across such chunks, in an
// order that depends on the sizes alone (Higham, Accuracy and Stability, section 4.2).
struct MomentsF32 {
  // Over n contiguous elements. Squares are of x - mean.
  double (*sum)(const float* x, std::int64_t n) noexcept;
  double (*sum_abs)(const float* x, std::int64_t n) noexcept;
  double (*sum_squares)(const float* x, std::int64_t n, float mean) noexcept;
  double (*max)(const float* x, std::int64_t n) noexcept;
  // Over `rows` rows of `columns` elements, `stride` apart: one result per column. Squares are of
  // x - mean[column]. A NaN loses against every number in `max`.
  void (*column_sum)(const float* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                     double* result) noexcept;
  void (*column_sum_abs)(const float* x, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride, double* result) noexcept;
  void (*column_sum_squares)(const float* x, std::int64_t rows, std::int64_t columns,
                             std::int64_t stride, const float* mean, double* result) noexcept;
  void (*column_max)(const float* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                     double* result) noexcept;
};
const MomentsF32& moments_f32(Isa isa);

// y = (x - mean) * scale + shift; x and y may be the same memory.
struct ScaleShiftF32 {
  // One mean, scale and shift for all, then an activation.
  void (*uniform)(const float* x, std::int64_t n, float mean, float scale, float shift,
                  const ActivationCall& activation, float* y) noexcept;
  // y = (x - mean) * inverse * scale[i] + shift[i]; `shift` may be null.
  void (*vectors)(const float* x, std::int64_t n, float mean, float inverse, const float* scale,
                  const float* shift, float* y) noexcept;
  // Rows of `columns` elements, `stride` apart in x and dense in y, each column with its own mean,
  // scale and shift; then an activation.
  void (*columns)(const float* x, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                  const float* mean, const float* scale, const float* shift,
                  const ActivationCall& activation, float* y) noexcept;
};
const ScaleShiftF32& scale_shift_f32(Isa isa);

}  // namespace lanewise::kernels
