// Enumeration of the rows under a window.
#include "engine/cpu/window_rows.h"

#include <algorithm>
#include <utility>

#include "engine/base/shape.h"
#include "engine/kernels/pool/pool.h"

namespace lanewise {

WindowRows::WindowRows(std::vector<WindowAxis> axes) : axes_(std::move(axes)) {
  axes_.pop_back();
  for (const WindowAxis& axis : axes_) {
    in_rows_ = checked_multiply(in_rows_, axis.in);
    out_rows_ = checked_multiply(out_rows_, axis.out);
    most_ = checked_multiply(most_, std::min(axis.in, axis.kernel));
  }
}

std::int64_t WindowRows::at(std::int64_t row, std::int64_t* rows, std::int64_t* taps) const {
  // The list starts as {0} and is multiplied by the taps of one axis after another, the innermost
  // axis first, so that rows are ascending in the end: each axis repeats the list of those inside.
  std::int64_t count = 1, in_stride = 1, tap_stride = 1;
  rows[0] = 0;
  if (taps != nullptr) taps[0] = 0;
  for (std::size_t i = axes_.size(); i-- > 0;) {
    const WindowAxis& axis = axes_[i];
    const std::int64_t start = row % axis.out * axis.stride - axis.pad_begin;
    row /= axis.out;
    const auto range = kernels::tap_range(start, axis.kernel, axis.dilation, 0, axis.in);
    if (range.first == range.last) return 0;
    for (std::int64_t k = range.last;
         k-- > range.first;) {  // downwards: block 0 is overwritten last
      const std::int64_t in_row = (start + k * axis.dilation) * in_stride;
      const std::int64_t block = (k - range.first) * count;
      for (std::int64_t j = 0; j < count; ++j) {
        rows[block + j] = rows[j] + in_row;
        if (taps != nullptr) taps[block + j] = taps[j] + k * tap_stride;
      }
    }
    count *= range.last - range.first;
    in_stride *= axis.in;
    tap_stride *= axis.kernel;
  }
  return count;
}

std::int64_t WindowRows::counted(std::int64_t row, bool include_pad) const {
  std::int64_t count = 1;
  for (std::size_t i = axes_.size(); i-- > 0;) {
    const WindowAxis& axis = axes_[i];
    const std::int64_t start = row % axis.out * axis.stride - axis.pad_begin;
    row /= axis.out;
    const auto range =
        kernels::tap_range(start, axis.kernel, axis.dilation, include_pad ? -axis.pad_begin : 0,
                           axis.in + (include_pad ? axis.pad_end : 0));
    count *= range.last - range.first;
  }
  return count;
}

}  // namespace lanewise
