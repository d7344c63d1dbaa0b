// The rows of an image that a window covers, as depthwise convolution and pooling are given them.
#pragma once

#include <vector>

#include "tests/kernels/check.h"

namespace lanewise::testing {

struct Window {
  std::int64_t height = 1, width = 1, channels = 1;  // of the image
  std::int64_t out_width = 1;
  std::int64_t kernel = 1, stride = 1, dilation = 1, pad = 0;
  std::vector<std::int64_t> rows;  // under the window, ascending

  std::int64_t image() const { return height * width * channels; }
  // The column under tap k of output o, or -1 outside the image.
  std::int64_t column(std::int64_t o, std::int64_t k) const {
    const std::int64_t at = o * stride - pad + k * dilation;
    return at < 0 || at >= width ? -1 : at;
  }
};

// Kernels may be larger than the image, strides larger than the kernel, windows all padding.
inline Window draw_window(Case& c, std::int64_t lanes) {
  Window w;
  w.height = c.pick(1, 4);
  w.width = c.size(8, 3);
  w.channels = c.size(lanes, 5);
  w.kernel = c.pick(1, 7);
  if (c.flip()) w.kernel = c.flip() ? 3 : 5;  // those that have code of their own
  w.stride = c.pick(1, 3);
  w.dilation = c.flip() ? 1 : c.pick(1, 3);
  w.pad = c.pick(0, w.kernel);
  const std::int64_t span = w.width + 2 * w.pad - (w.kernel - 1) * w.dilation - 1;
  w.out_width = span < 0 ? 1 : span / w.stride + 1;
  for (std::int64_t row = 0; row < w.height; ++row) {
    if (c.flip()) w.rows.push_back(row);
  }
  return w;
}

// The window's rows and measures in a call of a pooling kernel.
template <class Row>
void place_window(Case& c, const Window& w, Row& r) {
  r.row_count = static_cast<std::int64_t>(w.rows.size());
  r.rows = c.filled<std::int64_t>(
      r.row_count, [&](std::int64_t i) { return w.rows[static_cast<std::size_t>(i)]; });
  r.width = w.width;
  r.channels = w.channels;
  r.out_width = w.out_width;
  r.kernel = w.kernel;
  r.stride = w.stride;
  r.dilation = w.dilation;
  r.pad = w.pad;
}

}  // namespace lanewise::testing
