// The input rows under one output row of a sliding window: every spatial axis but the last, flattened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/ops/window.h"

namespace lanewise {

class WindowRows {
 public:
  // `in` is the input's shape [N, C, spatial...] in ONNX order.
  WindowRows(const Window& window, const Shape& in);

  // Rows of one image: products of all spatial axes but the last.
  std::int64_t in_rows() const { return in_rows_; }
  std::int64_t out_rows() const { return out_rows_; }
  // The most rows that at() can give.
  std::int64_t most() const { return most_; }

  // For output row `row` of an image, writes the input rows that its windows cover, ascending, to
  // `rows`, and to `taps` (unless null) the kernel row of each; returns how many. Allocates nothing.
  std::int64_t at(std::int64_t row, std::int64_t* rows, std::int64_t* taps) const;

  // Kernel rows that the mean divides by: those inside the input, or inside the padded input.
  std::int64_t counted(std::int64_t row, bool include_pad) const;

 private:
  struct Axis {
    std::int64_t in, out, kernel, stride, dilation, pad_begin, pad_end;
  };
  std::vector<Axis> axes_;
  std::int64_t in_rows_ = 1, out_rows_ = 1, most_ = 1;
};

}  // namespace lanewise
