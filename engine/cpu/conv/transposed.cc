// Transposed convolution: the choice of an algorithm, and the plain loops that float64 and
// row-major activations take.
#include "engine/cpu/conv/transposed.h"

#include <limits>
#include <utility>

#include "engine/base/parallel.h"
#include "engine/graph/layout.h"
#include "engine/kernels/moments/moments.h"

namespace lanewise {
namespace {

// Ties go to the first.
constexpr const ConvAlgorithm* kAlgorithms[] = {&transposed_phases, &transposed_taps};

// Strides in elements of one activation: image, channel, depth, height, width.
struct Strides {
  Strides(std::int64_t channels, const ConvProblem::Sizes& size, Layout layout) {
    const std::int64_t pixels = size[0] * size[1] * size[2];
    const std::int64_t step = layout == Layout::kPlain ? 1 : channels;
    image = channels * pixels;
    channel = layout == Layout::kPlain ? pixels : 1;
    axis = {size[1] * size[2] * step, size[2] * step, step};
  }
  std::int64_t image, channel;
  ConvProblem::Sizes axis;
};

// One output element by its definition.
template <class T>
T gather(const ConvProblem& p, const T* x, const T* filter, const Strides& in,
         const ConvProblem::Sizes& at) {
  T sum = 0;
  ConvProblem::Sizes k{};
  for (k[0] = 0; k[0] < p.kernel[0]; ++k[0]) {
    for (k[1] = 0; k[1] < p.kernel[1]; ++k[1]) {
      for (k[2] = 0; k[2] < p.kernel[2]; ++k[2], ++filter) {
        std::int64_t offset = 0;
        bool inside = true;
        for (std::size_t i = 0; i < 3; ++i) {
          const std::int64_t distance = at[i] + p.pad[i] - k[i] * p.dilation[i];
          const std::int64_t position = distance / p.stride[i];
          inside = inside && distance >= 0 && distance % p.stride[i] == 0 && position < p.in[i];
          offset += position * in.axis[i];
        }
        if (!inside) continue;
        for (std::int64_t i = 0; i < p.group_channels(); ++i) {
          sum += x[offset + i * in.channel] * filter[i * p.group_outputs() * p.taps()];
        }
      }
    }
  }
  return sum;
}

template <class T>
Step plain_step(const ConvProblem& p, const LowerContext& c) {
  const Strides in(p.channels, p.in, c.layout(0)), out(p.out_step(), p.out, c.out_layout(0));
  Step step;
  step.algorithm = "generic";
  step.run = [=](const RunContext& run) {
    parallel_for(run.threads, p.batch * p.outputs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        const std::int64_t image = plane / p.outputs, output = plane % p.outputs;
        const std::int64_t group = output / p.group_outputs(), column = output % p.group_outputs();
        const T* x = run.in<T>(0) + image * in.image + group * p.group_channels() * in.channel;
        const T* filter =
            run.in<T>(1) + (group * p.group_channels() * p.group_outputs() + column) * p.taps();
        const T bias = run.has_in(2) ? run.in<T>(2)[output] : T{0};
        for (std::int64_t pixel = 0; pixel < p.out_pixels(); ++pixel) {
          const ConvProblem::Sizes at{pixel / (p.out[1] * p.out[2]), pixel / p.out[2] % p.out[1],
                                      pixel % p.out[2]};
          const std::int64_t to = at[0] * out.axis[0] + at[1] * out.axis[1] + at[2] * out.axis[2];
          run.out<T>(0)[image * out.image + output * out.channel + to] =
              gather(p, x, filter, in, at) + bias;
        }
      }
    });
  };
  return step;
}

// An activation of results that are in memory, for paths too rare to have one of their own.
Step activated(Step inner, const ConvProblem& p, const LowerContext& c) {
  // Rows of channels where pixels lie apart, else everything.
  const std::int64_t elements = c.out_shape(0).elements();
  const std::int64_t n = p.out_pitch == 0 ? elements : p.outputs;
  const std::int64_t rows = elements / n, step_floats = p.out_step();
  Step step = inner;
  step.run = [=, run_inner = std::move(inner.run),
              activation = kernels::ActivationCall{p.activation, p.alpha, p.beta},
              kernel = &kernels::scale_shift_f32(c.isa())](const RunContext& run) {
    run_inner(run);
    float* y = run.out<float>(0);
    for (std::int64_t row = 0; row < rows; ++row, y += step_floats) {
      kernel->uniform(y, n, 0.0f, 1.0f, 0.0f, activation, y);
    }
  };
  return step;
}

Step plain_float32(const ConvProblem& p, const LowerContext& c) {
  Step step = plain_step<float>(p, c);
  return p.activation == kernels::Activation::kNone ? step : activated(std::move(step), p, c);
}

}  // namespace

Step lower_conv_transposed(const ConvProblem& p, const LowerContext& c) {
  if (c.out_shape(0).elements() == 0) {
    Step nothing;
    nothing.algorithm = "empty";
    nothing.run = [](const RunContext&) {};
    return nothing;
  }
  if (c.dtype(0) == DType::kFloat64) return plain_step<double>(p, c);
  const Layout last = Layout::kChannelsLast;
  const bool dense = same_bytes(c.shape(0), c.layout(0), last) &&
                     same_bytes(c.out_shape(0), c.out_layout(0), last);
  ConvProblem asked = p;
  asked.batch = 1;  // a sample's bits must not depend on how many others come with it
  const ConvAlgorithm* best = nullptr;
  double best_cost = std::numeric_limits<double>::infinity();
  std::vector<std::pair<const ConvAlgorithm*, ConvOffer>> offers;
  for (const ConvAlgorithm* algorithm : kAlgorithms) {
    ConvOffer offer =
        dense ? algorithm->offer(asked, c) : ConvOffer::refuse("activations are row-major");
    if (c.force() == algorithm->name) offer.cost = -1.0;
    if (offer.refusal.empty() && offer.cost < best_cost && c.force() != "generic") {
      best = algorithm;
      best_cost = offer.cost;
    }
    offers.emplace_back(algorithm, std::move(offer));
  }
  Step step = best == nullptr ? plain_float32(p, c) : best->build(p, c);
  if (best != nullptr) step.algorithm = best->name;
  for (const auto& [algorithm, offer] : offers) {
    if (algorithm == best) continue;
    const bool slower = offer.refusal.empty();
    step.refused.push_back({std::string(algorithm->name), slower ? "slower here" : offer.refusal});
  }
  return step;
}

}  // namespace lanewise
