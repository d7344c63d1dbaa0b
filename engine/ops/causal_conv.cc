// CausalConvWithState: a depthwise convolution over time that looks back only, and carries the last
// inputs to the next call (as in Mamba; Gu & Dao 2023).
#include <algorithm>
#include <string>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention/attention.h"
#include "engine/kernels/eltwise/eltwise.h"

namespace lanewise {
namespace {

enum Input { kX, kWeight, kBias, kPast };

bool has_silu(const OpContext& c) {
  const std::string_view name = c.attr_string("activation");
  if (name != "none" && name != "silu" && name != "swish") {
    c.fail("attribute 'activation' is '" + std::string(name) +
           "', expected 'none', 'silu' or 'swish'");
  }
  return name != "none";
}

void expect_shape(const OpContext& c, int i, const Shape& wanted) {
  if (!c.has_input(i)) return;
  c.expect_same_dtype(kX, i);
  if (c.shape(i) == wanted) return;
  c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + ", found " +
         c.shape(i).str());
}

void infer_causal(InferContext& c) {
  c.expect_dtype(kX, {DType::kFloat32});
  c.expect_rank(kX, 3, 3);
  c.expect_rank(kWeight, 3, 3);
  (void)has_silu(c);
  const Shape& x = c.shape(kX);
  const std::int64_t taps = c.shape(kWeight)[2];
  if (taps < 1) c.fail("input 1 of shape " + c.shape(kWeight).str() + " has no taps");
  expect_shape(c, kWeight, Shape{x[1], 1, taps});
  expect_shape(c, kBias, Shape{x[1]});
  expect_shape(c, kPast, Shape{x[0], x[1], taps - 1});
  c.set_output(0, c.dtype(kX), x);
  c.set_output(1, c.dtype(kX), Shape{x[0], x[1], taps - 1});
}

// One channel of one sample; `past` holds the taps - 1 inputs before x, zeros if null.
struct Channel {
  const float* x;
  const float* past;
  std::int64_t length, taps;
  const kernels::RowLoops* loops;

  void convolve(const float* w, float bias, float* y) const {
    std::fill_n(y, length, bias);
    for (std::int64_t j = 0; j < taps; ++j) {
      const std::int64_t delay = taps - 1 - j;  // y[t] reads x[t - delay]
      const std::int64_t before = std::min(delay, length);
      for (std::int64_t t = 0; t < before && past != nullptr; ++t) y[t] += w[j] * past[t + j];
      loops->add_scaled(x, w[j], y + before, length - before);
    }
  }

  void carry(float* state) const {
    for (std::int64_t i = 0; i + 1 < taps; ++i) {
      const std::int64_t at = length + i;  // in `past` followed by x
      const float old = past == nullptr || at >= taps - 1 ? 0.0f : past[at];
      state[i] = at < taps - 1 ? old : x[at - (taps - 1)];
    }
  }
};

Step lower_causal(LowerContext& c) {
  const std::int64_t channels = c.shape(kX)[1], length = c.shape(kX)[2];
  const std::int64_t taps = c.shape(kWeight)[2], rows = c.shape(kX)[0] * channels;
  const kernels::UnaryRun swish =
      has_silu(c) ? kernels::eltwise_unary(c.isa()).run[static_cast<int>(kernels::Unary::kSwish)]
                  : nullptr;
  const kernels::RowLoops* const loops = &kernels::row_loops(c.isa());
  Step step;
  step.algorithm = "channels";
  step.run = [=](const RunContext& run) {
    const std::int64_t grain = 1 + 16384 / (1 + length * taps);
    parallel_for(run.threads, rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const Channel channel{run.in<float>(kX) + row * length,
                              run.has_in(kPast) ? run.in<float>(kPast) + row * (taps - 1) : nullptr,
                              length, taps, loops};
        const std::int64_t i = row % channels;
        channel.convolve(run.in<float>(kWeight) + i * taps,
                         run.has_in(kBias) ? run.in<float>(kBias)[i] : 0.0f,
                         run.out<float>(0) + row * length);
        if (run.has_out(1)) channel.carry(run.out<float>(1) + row * (taps - 1));
      }
      if (swish == nullptr) return;
      float* const y = run.out<float>(0) + begin * length;
      swish(y, y, (end - begin) * length, 1.0f, 0.0f);
    });
  };
  return step;
}

double causal_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 2.0 * static_cast<double>(c.shape(kX).elements()) *
         static_cast<double>(c.shape(kWeight)[2]);
}

constexpr AttrDef kAttrs[] = {{.name = "activation",
                               .type = AttrType::kString,
                               .doc = "'none', or 'silu' (also called 'swish')",
                               .string_default = "none"}};

constexpr OpDef kOps[] = {
    {.name = "CausalConvWithState",
     .doc = "Depthwise convolution over past inputs, which also gives the last ones.",
     .min_inputs = 2,
     .max_inputs = 4,
     .max_outputs = 2,
     .attributes = kAttrs,
     .infer = infer_causal,
     .lower = lower_causal,
     .flops = causal_flops},
};

}  // namespace

extern const OpTable causal_conv_ops;
const OpTable causal_conv_ops = {kOps};

}  // namespace lanewise
