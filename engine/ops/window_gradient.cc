// Derivatives of sliding windows, which Gradient puts into a graph: of a convolution by its input
// and by its weights, of AveragePool by its input. Plain loops; the window's arithmetic is in
// window.h.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

// Every pair of an output position and a tap that reads the input, both as flat numbers.
class Taps {
 public:
  Taps(const Window& window, const Shape& in) : axes_(window_axes(window, in)) {
    for (const WindowAxis& axis : axes_) {
      outputs_ *= axis.out;
      taps_ *= axis.kernel;
      pixels_ *= axis.in;
    }
  }

  std::int64_t outputs() const { return outputs_; }
  std::int64_t taps() const { return taps_; }
  std::int64_t pixels() const { return pixels_; }

  // Calls f(tap, pixel) for each tap of an output position that lies inside the input.
  template <class F>
  void for_each(std::int64_t output, F&& f) const {
    for (std::int64_t tap = 0; tap < taps_; ++tap) {
      const std::int64_t pixel = pixel_of(output, tap);
      if (pixel >= 0) f(tap, pixel);
    }
  }

  // What a mean over the window divides by: its taps inside the input, or inside the padding too.
  std::int64_t counted(std::int64_t output, bool include_pad) const {
    std::int64_t count = 1;
    for (std::size_t i = axes_.size(); i-- > 0;) {
      const WindowAxis& a = axes_[i];
      const std::int64_t start = output % a.out * a.stride - a.pad_begin;
      const std::int64_t low = include_pad ? -a.pad_begin : 0;
      const std::int64_t high = a.in + (include_pad ? a.pad_end : 0);
      std::int64_t inside = 0;
      for (std::int64_t k = 0; k < a.kernel; ++k) {
        const std::int64_t at = start + k * a.dilation;
        if (at >= low && at < high) ++inside;
      }
      count *= inside;
      output /= a.out;
    }
    return std::max<std::int64_t>(count, 1);
  }

 private:
  std::int64_t pixel_of(std::int64_t output, std::int64_t tap) const {
    std::int64_t pixel = 0, scale = 1;
    for (std::size_t i = axes_.size(); i-- > 0;) {
      const WindowAxis& a = axes_[i];
      const std::int64_t at = output % a.out * a.stride - a.pad_begin + tap % a.kernel * a.dilation;
      if (at < 0 || at >= a.in) return -1;
      pixel += at * scale;
      scale *= a.in;
      output /= a.out;
      tap /= a.kernel;
    }
    return pixel;
  }

  std::vector<WindowAxis> axes_;
  std::int64_t outputs_ = 1, taps_ = 1, pixels_ = 1;
};

enum Input { kX, kW, kG };

struct ConvSizes {
  std::int64_t batch, channels, outputs, group;
  std::int64_t group_channels() const { return channels / group; }
  std::int64_t group_outputs() const { return outputs / group; }
};

ConvSizes conv_sizes(const OpContext& c) {
  return {c.shape(kX)[0], c.shape(kX)[1], c.shape(kW)[0], c.attr_int("group")};
}

// Checks a convolution's operands and the derivative of its result.
void check_conv(const OpContext& c) {
  c.expect_dtype(kX, {DType::kFloat32, DType::kFloat64});
  c.expect_same_dtype(kX, kW);
  c.expect_same_dtype(kX, kG);
  const Window window = resolve_window(c, weight_kernel(c));
  const Shape &x = c.shape(kX), &w = c.shape(kW);
  const std::int64_t group = c.attr_int("group");
  if (group < 1 || w[0] % group != 0 || checked_multiply(w[1], group) != x[1]) {
    c.fail("attribute 'group' is " + std::to_string(group) + ", which does not fit an input of " +
           x.str() + " and weights of " + w.str());
  }
  const Shape out = window_output(c, window, w[0]);
  if (c.shape(kG) != out) {
    c.fail("the derivative (input 2) has shape " + c.shape(kG).str() + ", expected " + out.str());
  }
}

void infer_conv_input(InferContext& c) {
  check_conv(c);
  c.set_output(0, c.dtype(kX), c.shape(kX));
}

void infer_conv_weight(InferContext& c) {
  check_conv(c);
  c.set_output(0, c.dtype(kW), c.shape(kW));
}

template <class T>
void conv_input(const ConvSizes& s, const Taps& taps, const RunContext& run) {
  parallel_for(run.threads, s.batch * s.group, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = i % s.group;
      T* dx = run.out<T>(0) + i * s.group_channels() * taps.pixels();
      std::fill_n(dx, s.group_channels() * taps.pixels(), T{0});
      for (std::int64_t oc = 0; oc < s.group_outputs(); ++oc) {
        const T* g = run.in<T>(kG) + (i * s.group_outputs() + oc) * taps.outputs();
        const T* w =
            run.in<T>(kW) + (group * s.group_outputs() + oc) * s.group_channels() * taps.taps();
        for (std::int64_t o = 0; o < taps.outputs(); ++o) {
          taps.for_each(o, [&](std::int64_t tap, std::int64_t pixel) {
            for (std::int64_t ic = 0; ic < s.group_channels(); ++ic)
              dx[ic * taps.pixels() + pixel] += g[o] * w[ic * taps.taps() + tap];
          });
        }
      }
    }
  });
}

template <class T>
void conv_weight(const ConvSizes& s, const Taps& taps, const RunContext& run) {
  const std::int64_t filter = s.group_channels() * taps.taps();
  parallel_for(run.threads, s.outputs, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(filter));
    for (std::int64_t oc = begin; oc < end; ++oc) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t n = 0; n < s.batch; ++n) {
        const T* g = run.in<T>(kG) + (n * s.outputs + oc) * taps.outputs();
        const T* x = run.in<T>(kX) +
                     (n * s.channels + oc / s.group_outputs() * s.group_channels()) * taps.pixels();
        for (std::int64_t o = 0; o < taps.outputs(); ++o) {
          taps.for_each(o, [&](std::int64_t tap, std::int64_t pixel) {
            for (std::int64_t ic = 0; ic < s.group_channels(); ++ic)
              sums[static_cast<std::size_t>(ic * taps.taps() + tap)] +=
                  static_cast<double>(g[o]) * static_cast<double>(x[ic * taps.pixels() + pixel]);
          });
        }
      }
      T* dw = run.out<T>(0) + oc * filter;
      for (std::int64_t i = 0; i < filter; ++i)
        dw[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
    }
  });
}

template <bool of_input>
Step lower_conv_gradient(LowerContext& c) {
  const Taps taps(resolve_window(c, weight_kernel(c)), c.shape(kX));
  Step step;
  step.algorithm = "plain loops";
  step.run = [s = conv_sizes(c), taps, empty = c.out_shape(0).elements() == 0,
              wide = c.dtype(kX) == DType::kFloat64](const RunContext& run) {
    if (empty) return;
    if constexpr (of_input)
      wide ? conv_input<double>(s, taps, run) : conv_input<float>(s, taps, run);
    else
      wide ? conv_weight<double>(s, taps, run) : conv_weight<float>(s, taps, run);
  };
  return step;
}

// 2 * (filter size) operations for each element of the derivative.
double conv_flops(const OpContext& c, std::span<const ValueInfo>) {
  const Shape& w = c.shape(kW);
  return 2.0 * static_cast<double>(c.shape(kG).elements()) *
         static_cast<double>(w.elements(1, w.rank()));
}

Window mean_window(const OpContext& c) {
  return resolve_window(c, pool_kernel(c), c.attr_int("ceil_mode") != 0);
}

void infer_mean(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_same_dtype(0, 1);
  const Shape out = window_output(c, mean_window(c), c.shape(0)[1]);
  if (c.shape(1) != out) {
    c.fail("the derivative (input 1) has shape " + c.shape(1).str() + ", expected " + out.str());
  }
  c.set_output(0, c.dtype(0), c.shape(0));
}

template <class T>
void mean_input(const Taps& taps, std::int64_t planes, bool include_pad, const RunContext& run) {
  parallel_for(run.threads, planes, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* g = run.in<T>(1) + plane * taps.outputs();
      T* dx = run.out<T>(0) + plane * taps.pixels();
      std::fill_n(dx, taps.pixels(), T{0});
      for (std::int64_t o = 0; o < taps.outputs(); ++o) {
        const T share = g[o] / static_cast<T>(taps.counted(o, include_pad));
        taps.for_each(o, [&](std::int64_t, std::int64_t pixel) { dx[pixel] += share; });
      }
    }
  });
}

Step lower_mean(LowerContext& c) {
  const Taps taps(mean_window(c), c.shape(0));
  const Shape& x = c.shape(0);
  Step step;
  step.algorithm = "plain loops";
  step.run = [taps, planes = x.elements() == 0 ? 0 : x[0] * x[1],
              include_pad = c.attr_int("count_include_pad") != 0,
              wide = c.dtype(0) == DType::kFloat64](const RunContext& run) {
    wide ? mean_input<double>(taps, planes, include_pad, run)
         : mean_input<float>(taps, planes, include_pad, run);
  };
  return step;
}

constexpr AttrDef kAutoPad = {.name = "auto_pad",
                              .type = AttrType::kString,
                              .doc = "as the operator itself has it, like all others",
                              .string_default = "NOTSET"};
constexpr AttrDef kDilations = {.name = "dilations", .type = AttrType::kInts, .doc = "of taps"};
constexpr AttrDef kPads = {.name = "pads", .type = AttrType::kInts, .doc = "begins, then ends"};
constexpr AttrDef kStrides = {.name = "strides", .type = AttrType::kInts, .doc = "of windows"};
constexpr AttrDef kConvAttrs[] = {
    kAutoPad,
    kDilations,
    {.name = "group", .type = AttrType::kInt, .doc = "channel groups", .int_default = 1},
    {.name = "kernel_shape", .type = AttrType::kInts, .doc = "default: that of the weights"},
    kPads,
    kStrides};
constexpr AttrDef kMeanAttrs[] = {
    kAutoPad,
    {.name = "ceil_mode", .type = AttrType::kInt, .doc = "1: windows may end past the padding"},
    {.name = "count_include_pad", .type = AttrType::kInt, .doc = "1: the mean counts padding"},
    kDilations,
    {.name = "kernel_shape", .type = AttrType::kInts, .doc = "window size", .required = true},
    kPads,
    kStrides};

constexpr OpDef kOps[] = {
    {.domain = "lanewise",
     .name = "ConvInputGradient",
     .doc = "The derivative of a Conv by its input, of (input, weights, derivative of the result).",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kConvAttrs,
     .infer = infer_conv_input,
     .lower = lower_conv_gradient<true>,
     .flops = conv_flops},
    {.domain = "lanewise",
     .name = "ConvWeightGradient",
     .doc = "The derivative of a Conv by its weights, of the same three.",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kConvAttrs,
     .infer = infer_conv_weight,
     .lower = lower_conv_gradient<false>,
     .flops = conv_flops},
    {.domain = "lanewise",
     .name = "AveragePoolGradient",
     .doc = "The derivative of an AveragePool by its input, of (input, derivative of the result).",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kMeanAttrs,
     .infer = infer_mean,
     .lower = lower_mean},
};

}  // namespace

extern const OpTable window_gradient_ops;
const OpTable window_gradient_ops = {kOps};

}  // namespace lanewise
