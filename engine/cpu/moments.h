// Sums, norms and maxima over the middle axis of [images][rows][columns], and the scaling that
// normalisation applies: the shared half of global pooling and the normalisations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/graph/context.h"
#include "engine/kernels/moments/moments.h"

namespace lanewise {

enum class Fold : std::uint8_t {
  kSum,      // sum x
  kAbs,      // sum |x|
  kSquares,  // sum (x - centre)^2
  kPower,    // sum |x|^power
  kMax,
};

// T is float or double. The result does not depend on the number of threads: how the rows are split
// is decided by the sizes alone, and the parts are joined in order, in float64.
template <class T>
class Moments {
 public:
  Moments(Isa isa, std::int64_t images, std::int64_t rows, std::int64_t columns);

  std::int64_t entries() const { return images_ * columns_; }
  std::int64_t rows() const { return rows_; }
  // Doubles of scratch memory that reduce() needs.
  std::int64_t scratch() const { return parts_ == 1 ? 0 : parts_ * entries(); }

  // result[image][column]; `centre` has as many entries, or is null for zeros. kMax over no rows
  // gives minus infinity.
  void reduce(int threads, Fold fold, const T* x, const T* centre, double* scratch, double* result,
              int power = 2) const;

  // The sum of each image and column, and the sum of squares about its mean. Parts are read twice
  // while they are near, and joined as Chan, Golub & LeVeque (1983) do. `scratch` has
  // statistics_scratch() doubles.
  void statistics(int threads, const T* x, double* scratch, double* sums, double* squares) const;
  std::int64_t statistics_scratch() const { return 3 * parts_ * entries(); }

  // y = activation((x - mean) * scale + shift) with one entry of each per image and column; an
  // activation for float32 alone. Rows of x are `stride` elements apart, 0 for densely.
  void scale_shift(int threads, const T* x, const T* mean, const T* scale, const T* shift, T* y,
                   const kernels::ActivationCall& activation = {}, std::int64_t stride = 0) const;

 private:
  // The first row of a part of an image.
  std::int64_t row_of(std::int64_t part) const {
    return rows_ / parts_ * part + std::min(part, rows_ % parts_);
  }
  void part_statistics(const T* x, std::int64_t rows, double* sums, double* squares,
                       T* centre) const;
  void reduce_part(Fold fold, int power, const T* x, std::int64_t rows, const T* centre,
                   double* result) const;

  const kernels::MomentsF32* kernel_;
  const kernels::ScaleShiftF32* scaling_;
  std::int64_t images_, rows_, columns_, parts_, images_per_task_;
};

// A shape [N, C, positions...] as the images, rows and columns over whose rows the statistics of
// one channel run, in either layout: entries are [N][C]. With `merge_images`, channels-last images
// follow each other as rows of one, and entries are [C] there.
template <class T>
Moments<T> channel_moments(Isa isa, const Shape& shape, Layout layout, bool merge_images = false) {
  const std::int64_t n = shape[0], channels = shape.rank() < 2 ? 1 : shape[1];
  const std::int64_t positions = shape.rank() < 3 ? 1 : shape.elements(2, shape.rank());
  const bool last = layout == Layout::kChannelsLast || positions == 1;
  if (!last) return Moments<T>(isa, checked_multiply(n, channels), positions, 1);
  return merge_images ? Moments<T>(isa, 1, checked_multiply(n, positions), channels)
                      : Moments<T>(isa, n, positions, channels);
}

}  // namespace lanewise
