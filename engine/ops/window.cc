// Resolution of window attributes. No operator is defined here.
#include "engine/ops/window.h"

#include <algorithm>
#include <string>
#include <utility>

namespace lanewise {
namespace {

constexpr std::int64_t kLargest = 0x7fffffff;

std::string list_text(const std::vector<std::int64_t>& values) {
  std::string text;
  for (std::int64_t value : values) text += (text.empty() ? "[" : ", ") + std::to_string(value);
  return text + "]";
}

void check_range(const OpContext& c, const std::string& what,
                 const std::vector<std::int64_t>& values, std::int64_t least) {
  for (std::int64_t value : values) {
    if (value >= least && value <= kLargest) continue;
    c.fail(what + " is " + list_text(values) + ", expected values from " + std::to_string(least) +
           " to " + std::to_string(kLargest));
  }
}

// floor(a / b) + 1 windows start at or before `a`; ceil_mode also counts one that ends past the
// padded input, if it starts inside the input or the padding before it.
std::int64_t explicit_count(std::int64_t in, std::int64_t begin, std::int64_t end,
                            std::int64_t extent, std::int64_t stride, bool ceil_mode) {
  const std::int64_t room = in + begin + end - extent;
  if (room < 0) return 0;
  std::int64_t count = room / stride + 1;
  if (ceil_mode && room % stride != 0 && count * stride < in + begin) ++count;
  return count;
}

}  // namespace

bool Window::pointwise() const {
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    if (kernel[i] != 1 || stride[i] != 1 || pad_begin[i] != 0 || pad_end[i] != 0) return false;
  }
  return true;
}

std::vector<std::int64_t> window_ints(const OpContext& c, const char* name, int count,
                                      std::int64_t least, std::int64_t fallback) {
  std::vector<std::int64_t> values = c.attr_ints(name);
  if (values.empty()) return std::vector<std::int64_t>(static_cast<std::size_t>(count), fallback);
  if (values.size() != static_cast<std::size_t>(count)) {
    c.fail("attribute '" + std::string(name) + "' is " + list_text(values) + ", expected " +
           std::to_string(count) + " values for an input of shape " + c.shape(0).str());
  }
  check_range(c, "attribute '" + std::string(name) + "'", values, least);
  return values;
}

std::vector<std::int64_t> pool_kernel(const OpContext& c) {
  c.expect_rank(0, 3, 16);
  if (c.attr_ints("kernel_shape").empty())
    c.fail("attribute 'kernel_shape' is required and missing");
  return window_ints(c, "kernel_shape", c.shape(0).rank() - 2, 1, 1);
}

std::vector<std::int64_t> weight_kernel(const OpContext& c) {
  const Shape& weights = c.shape(1);
  c.expect_rank(0, 3, 16);
  c.expect_rank(1, c.shape(0).rank(), c.shape(0).rank());
  std::vector<std::int64_t> kernel(weights.begin() + 2, weights.end());
  check_range(c, "kernel of the weights (input 1) of shape " + weights.str(), kernel, 1);
  const std::vector<std::int64_t> stated = c.attr_ints("kernel_shape");
  if (!stated.empty() && stated != kernel) {
    c.fail("attribute 'kernel_shape' is " + list_text(stated) +
           ", but the weights (input 1) have shape " + weights.str());
  }
  return kernel;
}

Window resolve_window(const OpContext& c, std::vector<std::int64_t> kernel, bool ceil_mode) {
  const int rank = static_cast<int>(kernel.size());
  const auto count = static_cast<std::size_t>(rank);
  c.expect_rank(0, rank + 2, rank + 2);
  Window w;
  w.kernel = std::move(kernel);
  w.stride = window_ints(c, "strides", rank, 1, 1);
  w.dilation = window_ints(c, "dilations", rank, 1, 1);
  w.pad_begin.assign(count, 0);
  w.pad_end.assign(count, 0);
  w.out.assign(count, 0);
  const std::string mode(c.attr_string("auto_pad"));
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (!same && !mode.empty() && mode != "NOTSET" && mode != "VALID") {
    c.fail("attribute 'auto_pad' is '" + mode +
           "', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  }
  if (!same && mode != "VALID") {
    const std::vector<std::int64_t> pads = window_ints(c, "pads", 2 * rank, 0, 0);
    w.pad_begin.assign(pads.begin(), pads.begin() + rank);
    w.pad_end.assign(pads.begin() + rank, pads.end());
  }
  for (std::size_t i = 0; i < count; ++i) {
    const int axis = static_cast<int>(i);
    const std::int64_t in = c.shape(0)[axis + 2];
    const std::int64_t extent = w.extent(axis);
    if (in > kLargest << 30) c.fail("the input of shape " + c.shape(0).str() + " is too large");
    if (same) {
      w.out[i] = in == 0 ? 0 : (in - 1) / w.stride[i] + 1;
      const std::int64_t total =
          std::max<std::int64_t>(0, (w.out[i] - 1) * w.stride[i] + extent - in);
      const std::int64_t half = total / 2;
      w.pad_begin[i] = mode == "SAME_UPPER" ? half : total - half;
      w.pad_end[i] = total - w.pad_begin[i];
      continue;
    }
    w.out[i] = explicit_count(in, w.pad_begin[i], w.pad_end[i], extent, w.stride[i], ceil_mode);
    if (w.out[i] == 0 && in != 0) {
      c.fail("the window spans " + std::to_string(extent) + " positions along spatial axis " +
             std::to_string(axis) + ", more than the padded input of shape " + c.shape(0).str() +
             " has; use a smaller kernel, a larger input or pads");
    }
  }
  return w;
}

std::vector<WindowAxis> window_axes(const Window& window, const Shape& in) {
  std::vector<WindowAxis> axes;
  for (int i = 0; i < window.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    axes.push_back({in[i + 2], window.out[k], window.kernel[k], window.stride[k],
                    window.dilation[k], window.pad_begin[k], window.pad_end[k]});
  }
  return axes;
}

Shape window_output(const OpContext& c, const Window& window, std::int64_t channels) {
  Shape out{c.shape(0)[0], channels};
  for (std::int64_t size : window.out) out.push_back(size);
  return out;
}

}  // namespace lanewise
