// Sliding windows of convolution and pooling: attributes resolved to one struct of numbers, and the
// size of the output. Transposed convolution has its own rule (conv_transpose.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/cpu/window_rows.h"
#include "engine/graph/context.h"

namespace lanewise {

// One entry per spatial axis. Output position o reads input positions
// o * stride - pad_begin + k * dilation for k in [0, kernel); those outside the input are padding.
// With ceil_mode, the last windows may also reach past pad_end.
struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, pad_begin, pad_end, out;

  int rank() const { return static_cast<int>(kernel.size()); }
  // Input positions that a window spans along an axis.
  std::int64_t extent(int axis) const {
    const auto i = static_cast<std::size_t>(axis);
    return (kernel[i] - 1) * dilation[i] + 1;
  }
  // Whether no window reads padding and every input element lies in exactly the window of its own
  // position: kernel and stride 1, no pads.
  bool pointwise() const;
};

// Resolves `strides`, `pads`, `dilations` and `auto_pad` of the node for input 0, whose shape is
// [N, C, spatial...], with this kernel. Throws ModelError through c.fail for lists of the wrong
// length, values outside their range and windows larger than the padded input.
Window resolve_window(const OpContext& c, std::vector<std::int64_t> kernel, bool ceil_mode = false);

// The same for a transposed convolution: `out` is larger than the input, and pads are cut from it.
Window transposed_window(const OpContext& c);

// The kernel of a pooling operator: the attribute `kernel_shape`, which must have one entry per
// spatial axis of input 0.
std::vector<std::int64_t> pool_kernel(const OpContext& c);

// The kernel of a convolution: dimensions 2 and up of the weights (input 1); fails when the
// attribute `kernel_shape` is present and says otherwise.
std::vector<std::int64_t> weight_kernel(const OpContext& c);

// The attribute `name`, one value in [least, 2^31) for each of `count` entries, or `fallback` for
// all of them when it is absent. The bound keeps sums and products of two of them within 63 bits.
std::vector<std::int64_t> window_ints(const OpContext& c, const char* name, int count,
                                      std::int64_t least, std::int64_t fallback);

// The window beside the sizes of input and output, axis by axis; `in` is [N, C, spatial...].
std::vector<WindowAxis> window_axes(const Window& window, const Shape& in);

// Shape [N, channels, out...].
Shape window_output(const OpContext& c, const Window& window, std::int64_t channels);

}  // namespace lanewise
