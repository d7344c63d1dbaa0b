// Splitting of reductions and scalings over threads; float64 in plain C++.
// here.
#include "engine/cpu/moments.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "engine/base/parallel.h"

namespace lanewise {
namespace {

constexpr std::int64_t kPartElements = 1 << 14;  // work that is worth a task of its own

// The fold in plain C++, one column after another in memory order: float64, and powers.
template <class T>
void reduce_plain(Fold fold, int power, const T* x, std::int64_t rows, std::int64_t columns,
                  const T* centre, double* result) {
  const double start = fold == Fold::kMax ? -std::numeric_limits<double>::infinity() : 0.0;
  std::fill(result, result + columns, start);
  for (std::int64_t row = 0; row < rows; ++row, x += columns) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const double value = static_cast<double>(x[c]);
      const double d = centre == nullptr ? value : value - static_cast<double>(centre[c]);
      switch (fold) {
        case Fold::kSum: result[c] += value; break;
        case Fold::kAbs: result[c] += std::abs(value); break;
        case Fold::kSquares: result[c] += d * d; break;
        case Fold::kPower: result[c] += std::pow(std::abs(value), power); break;
        case Fold::kMax: result[c] = value > result[c] ? value : result[c]; break;
      }
    }
  }
}

void reduce_kernel(const kernels::MomentsF32& k, Fold fold, const float* x, std::int64_t rows,
                   std::int64_t columns, const float* centre, double* result) {
  const bool row = columns == 1;
  switch (fold) {
    case Fold::kSum:
      if (row)
        *result = k.sum(x, rows);
      else
        k.column_sum(x, rows, columns, columns, result);
      return;
    case Fold::kAbs:
      if (row)
        *result = k.sum_abs(x, rows);
      else
        k.column_sum_abs(x, rows, columns, columns, result);
      return;
    case Fold::kMax:
      if (row)
        *result = k.max(x, rows);
      else
        k.column_max(x, rows, columns, columns, result);
      return;
    default:
      if (row)
        *result = k.sum_squares(x, rows, centre == nullptr ? 0.0f : *centre);
      else
        k.column_sum_squares(x, rows, columns, columns, centre, result);
  }
}

}  // namespace

template <class T>
Moments<T>::Moments(Isa isa, std::int64_t images, std::int64_t rows, std::int64_t columns)
    : kernel_(&kernels::moments_f32(isa)),
      scaling_(&kernels::scale_shift_f32(isa)),
      images_(images),
      rows_(rows),
      columns_(columns) {
  const std::int64_t size = checked_multiply(rows, columns);
  // A part has at least 64 rows, so that its float64 results are few beside its elements.
  parts_ = std::clamp<std::int64_t>(std::min(size / kPartElements, rows / 64), 1, 64);
  images_per_task_ = std::clamp<std::int64_t>(kPartElements / std::max<std::int64_t>(size, 1), 1,
                                              std::max<std::int64_t>(images, 1));
}

template <class T>
void Moments<T>::reduce_part(Fold fold, int power, const T* x, std::int64_t rows, const T* centre,
                             double* result) const {
  if constexpr (std::is_same_v<T, float>) {
    if (fold != Fold::kPower)
      return reduce_kernel(*kernel_, fold, x, rows, columns_, centre, result);
  }
  reduce_plain(fold, power, x, rows, columns_, centre, result);
}

template <class T>
void Moments<T>::reduce(int threads, Fold fold, const T* x, const T* centre, double* scratch,
                        double* result, int power) const {
  const std::int64_t size = rows_ * columns_;
  const auto centre_of = [&](std::int64_t image) {
    return centre == nullptr ? nullptr : centre + image * columns_;
  };
  if (parts_ == 1) {
    const std::int64_t tasks = (images_ + images_per_task_ - 1) / images_per_task_;
    parallel_tasks(threads, tasks, [&](std::int64_t task, int) {
      const std::int64_t end = std::min(images_, (task + 1) * images_per_task_);
      for (std::int64_t i = task * images_per_task_; i < end; ++i) {
        reduce_part(fold, power, x + i * size, rows_, centre_of(i), result + i * columns_);
      }
    });
    return;
  }
  parallel_tasks(threads, images_ * parts_, [&](std::int64_t task, int) {
    const std::int64_t image = task / parts_, part = task % parts_;
    const std::int64_t begin = row_of(part), end = row_of(part + 1);
    reduce_part(fold, power, x + image * size + begin * columns_, end - begin, centre_of(image),
                scratch + task * columns_);
  });
  for (std::int64_t image = 0; image < images_; ++image) {
    double* total = result + image * columns_;
    const double* partial = scratch + image * parts_ * columns_;
    std::copy(partial, partial + columns_, total);
    for (std::int64_t part = 1; part < parts_; ++part) {
      partial += columns_;
      for (std::int64_t c = 0; c < columns_; ++c) {
        total[c] = fold == Fold::kMax ? std::max(total[c], partial[c]) : total[c] + partial[c];
      }
    }
  }
}

template <class T>
void Moments<T>::part_statistics(const T* x, std::int64_t rows, double* sums, double* squares,
                                 T* centre) const {
  reduce_part(Fold::kSum, 2, x, rows, nullptr, sums);
  const double count = static_cast<double>(rows);
  for (std::int64_t c = 0; c < columns_; ++c) centre[c] = static_cast<T>(sums[c] / count);
  reduce_part(Fold::kSquares, 2, x, rows, centre, squares);
  for (std::int64_t c = 0; c < columns_; ++c) {  // the centre was the mean rounded to T
    const double rounded = sums[c] / count - static_cast<double>(centre[c]);
    squares[c] = std::max(0.0, squares[c] - count * rounded * rounded);
  }
}

template <class T>
void Moments<T>::statistics(int threads, const T* x, double* scratch, double* sums,
                            double* squares) const {
  const std::int64_t size = rows_ * columns_, cells = parts_ * columns_;
  double* part_sums = scratch;
  double* part_squares = part_sums + parts_ * entries();
  T* centres = reinterpret_cast<T*>(part_squares + parts_ * entries());
  parallel_for(threads, images_ * parts_, images_per_task_,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t at = begin; at < end; ++at) {
                   const std::int64_t part = at % parts_, first = row_of(part);
                   part_statistics(x + at / parts_ * size + first * columns_,
                                   row_of(part + 1) - first, part_sums + at * columns_,
                                   part_squares + at * columns_, centres + at * columns_);
                 }
               });
  for (std::int64_t e = 0; e < entries(); ++e) {
    const std::int64_t first = e / columns_ * cells + e % columns_;
    sums[e] = squares[e] = 0.0;
    for (std::int64_t part = 0; part < parts_; ++part)
      sums[e] += part_sums[first + part * columns_];
    const double mean = sums[e] / static_cast<double>(rows_);
    for (std::int64_t part = 0; part < parts_; ++part) {
      const double count = static_cast<double>(row_of(part + 1) - row_of(part));
      const double from_mean = part_sums[first + part * columns_] / count - mean;
      squares[e] += part_squares[first + part * columns_] + count * from_mean * from_mean;
    }
  }
}

template <class T>
void Moments<T>::scale_shift(int threads, const T* x, const T* mean, const T* scale, const T* shift,
                             T* y, const kernels::ActivationCall& activation,
                             std::int64_t stride) const {
  const std::int64_t step = stride != 0 ? stride : columns_;
  const std::int64_t all_rows = images_ * rows_;
  const std::int64_t grain = kPartElements / std::max<std::int64_t>(columns_, 1) + 1;
  parallel_for(threads, all_rows, grain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {  // piece by piece of one image
      const std::int64_t image = begin / rows_, e = image * columns_;
      const std::int64_t piece = std::min(end, (image + 1) * rows_) - begin;
      const T* from = x + begin * step;
      T* to = y + begin * columns_;
      if constexpr (std::is_same_v<T, float>) {
        if (step == 1) {
          scaling_->uniform(from, piece, mean[e], scale[e], shift[e], activation, to);
        } else {
          scaling_->columns(from, piece, columns_, step, mean + e, scale + e, shift + e, activation,
                            to);
        }
      } else {
        for (std::int64_t i = 0; i < piece * columns_; ++i) {
          const std::int64_t c = e + i % columns_;
          to[i] = (from[i / columns_ * step + i % columns_] - mean[c]) * scale[c] + shift[c];
        }
      }
      begin += piece;
    }
  });
}

template class Moments<float>;
template class Moments<double>;

}  // namespace lanewise
