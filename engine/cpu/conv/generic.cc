// Convolution by its definition, for every float type and layout: what other algorithms are
// measured against, and what runs float64.
#include <algorithm>

#include "engine/base/parallel.h"
#include "engine/cpu/conv/conv.h"
#include "engine/graph/layout.h"

namespace lanewise {
namespace {

// Strides in elements of one activation: image, channel, depth, height, width.
struct Strides {
  std::int64_t image, channel;
  ConvProblem::Sizes axis;
};

// `pitch` is the distance of channels-last pixels.
Strides strides_of(std::int64_t channels, const ConvProblem::Sizes& size, Layout layout,
                   std::int64_t pitch) {
  const std::int64_t pixels = size[0] * size[1] * size[2];
  const std::int64_t step = layout == Layout::kPlain ? 1 : pitch;
  return {(layout == Layout::kPlain ? channels : pitch) * pixels,
          layout == Layout::kPlain ? pixels : 1,
          {size[1] * size[2] * step, size[2] * step, step}};
}

template <class T>
T window_sum(const ConvProblem& p, const T* x, const T* filter, const Strides& in,
             const ConvProblem::Sizes& at) {
  T sum = 0;
  ConvProblem::Sizes tap{};
  for (tap[0] = 0; tap[0] < p.kernel[0]; ++tap[0]) {
    for (tap[1] = 0; tap[1] < p.kernel[1]; ++tap[1]) {
      for (tap[2] = 0; tap[2] < p.kernel[2]; ++tap[2], ++filter) {
        std::int64_t offset = 0;
        bool inside = true;
        for (std::size_t i = 0; i < 3; ++i) {
          const std::int64_t position = at[i] * p.stride[i] - p.pad[i] + tap[i] * p.dilation[i];
          inside = inside && position >= 0 && position < p.in[i];
          offset += position * in.axis[i];
        }
        if (!inside) continue;
        for (std::int64_t i = 0; i < p.group_channels(); ++i) {
          sum += x[offset + i * in.channel] * filter[i * p.taps()];
        }
      }
    }
  }
  return sum;
}

template <class T>
void run_generic(const ConvProblem& p, const Strides& in, const Strides& out,
                 const RunContext& run) {
  parallel_for(run.threads, p.batch * p.outputs, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const std::int64_t image = plane / p.outputs, output = plane % p.outputs;
      const std::int64_t group = output / p.group_outputs();
      const T* x = run.in<T>(0) + image * in.image + group * p.group_channels() * in.channel;
      const T* filter = run.in<T>(1) + output * p.group_channels() * p.taps();
      T* y = run.out<T>(0) + image * out.image + output * out.channel;
      const T bias = run.has_in(2) ? run.in<T>(2)[output] : T(0);
      ConvProblem::Sizes at{};
      for (at[0] = 0; at[0] < p.out[0]; ++at[0]) {
        for (at[1] = 0; at[1] < p.out[1]; ++at[1]) {
          for (at[2] = 0; at[2] < p.out[2]; ++at[2]) {
            T* to = y + at[0] * out.axis[0] + at[1] * out.axis[1] + at[2] * out.axis[2];
            *to = window_sum(p, x, filter, in, at) + bias;
          }
        }
      }
    }
  });
}

}  // namespace

Step lower_conv_generic(const ConvProblem& p, const LowerContext& c) {
  const Strides in = strides_of(p.channels, p.in, c.layout(0), p.in_step());
  const Strides out = strides_of(p.outputs, p.out, c.out_layout(0), p.out_step());
  Step step;
  step.algorithm = "generic";
  if (c.dtype(0) == DType::kFloat64) {
    step.run = [p, in, out](const RunContext& run) { run_generic<double>(p, in, out, run); };
  } else {
    step.run = [p, in, out](const RunContext& run) { run_generic<float>(p, in, out, run); };
  }
  return step;
}

}  // namespace lanewise
