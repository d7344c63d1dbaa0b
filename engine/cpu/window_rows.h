// The input rows under one output row of a sliding window: every spatial axis but the last,
// flattened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lanewise {

// Along one axis, output o covers input o * stride - pad_begin + k * dilation for k in [0, kernel).
struct WindowAxis {
  std::int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;
};

class WindowRows {
 public:
  // Every spatial axis, outermost first; the last one, along which rows run, is left out here.
  explicit WindowRows(std::vector<WindowAxis> axes);

  // Rows of one image: products of all spatial axes but the last.
  std::int64_t in_rows() const { return in_rows_; }
  std::int64_t out_rows() const { return out_rows_; }
  // The most rows that at() can give.
  std::int64_t most() const { return most_; }

  // For output row `row` of an image, writes the input rows that its windows cover, ascending, to
  // `rows`, and to `taps` (unless null) the kernel row of each; returns how many. Allocates
  // nothing.
  std::int64_t at(std::int64_t row, std::int64_t* rows, std::int64_t* taps) const;

  // Kernel rows that the mean divides by: those inside the input, or inside the padded input.
  std::int64_t counted(std::int64_t row, bool include_pad) const;

 private:
  std::vector<WindowAxis> axes_;
  std::int64_t in_rows_ = 1, out_rows_ = 1, most_ = 1;
};

}  // namespace lanewise
