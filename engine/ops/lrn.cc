// LRN: local response normalisation across channels.
#include "engine/kernels/lrn/lrn.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "engine/base/parallel.h"
#include "engine/graph/layout.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_lrn(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 2, 16);
  const std::int64_t size = c.attr_int("size");
  if (size < 1 || size > (1 << 20)) {
    c.fail("attribute 'size' is " + std::to_string(size) + ", expected 1 to " +
           std::to_string(1 << 20));
  }
  c.set_output(0, c.dtype(0), c.shape(0));
}

kernels::Lrn parameters(const OpContext& c) {
  const std::int64_t size = c.attr_int("size");
  kernels::Lrn lrn;
  lrn.channels = c.shape(0)[1];
  lrn.before = (size - 1) / 2;
  lrn.after = size - 1 - lrn.before;
  lrn.scale = c.attr_float("alpha") / static_cast<float>(size);
  lrn.bias = c.attr_float("bias");
  lrn.beta = c.attr_float("beta");
  return lrn;
}

constexpr std::int64_t kGrain = 1 << 12;  // elements worth a thread

Step lower_pixels(const LowerContext& c, const kernels::Lrn& lrn) {
  const auto kernel = kernels::lrn_f32(c.isa()).pixels;
  const std::int64_t count = c.shape(0).elements() / std::max<std::int64_t>(lrn.channels, 1);
  const std::int64_t block = kGrain / std::max<std::int64_t>(lrn.channels, 1) + 1;
  const std::int64_t floats = kernels::lrn_scratch(lrn);
  Step step;
  step.algorithm = "pixels";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(floats * 4, c.threads()));
  step.run = [=](const RunContext& run) {
    float* scratch = reinterpret_cast<float*>(run.scratch);
    std::memset(scratch, 0, static_cast<std::size_t>(floats * run.threads) * sizeof(float));
    parallel_tasks(run.threads, (count + block - 1) / block, [&](std::int64_t task, int thread) {
      const std::int64_t begin = task * block, size = std::min(block, count - begin);
      const std::int64_t at = begin * lrn.channels;
      kernel(lrn, run.in<float>(0) + at, size, scratch + thread * floats, run.out<float>(0) + at);
    });
  };
  return step;
}

Step lower_planes(const LowerContext& c, const kernels::Lrn& lrn) {
  const auto kernel = kernels::lrn_f32(c.isa()).planes;
  const std::int64_t size = c.shape(0).elements(2, c.shape(0).rank());
  const std::int64_t image = size * lrn.channels;
  const std::int64_t block = kGrain / std::max<std::int64_t>(lrn.channels, 1) / 16 * 16 + 16;
  const std::int64_t blocks = (size + block - 1) / block;
  const std::int64_t tasks = c.shape(0).elements() == 0 ? 0 : c.shape(0)[0] * blocks;
  Step step;
  step.algorithm = "planes";
  step.run = [=](const RunContext& run) {
    parallel_tasks(run.threads, tasks, [&](std::int64_t task, int) {
      const std::int64_t at = task / blocks * image, begin = task % blocks * block;
      kernel(lrn, run.in<float>(0) + at, size, begin, std::min(size, begin + block),
             run.out<float>(0) + at);
    });
  };
  return step;
}

// float64, either layout, through strides.
Step lower_double(const LowerContext& c, const kernels::Lrn& lrn) {
  const Shape& shape = c.shape(0);
  const std::int64_t positions = shape.elements(2, shape.rank()), count = shape.elements();
  const bool last = c.layout(0) == Layout::kChannelsLast || positions == 1;
  const std::int64_t stride = last ? 1 : positions;  // between channels
  const double scale =
      static_cast<double>(c.attr_float("alpha")) / static_cast<double>(c.attr_int("size"));
  Step step;
  step.algorithm = "plain C++";
  step.run = [=](const RunContext& run) {
    const double* x = run.in<double>(0);
    double* y = run.out<double>(0);
    parallel_for(run.threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t channel = i / stride % lrn.channels;
        const std::int64_t first = std::max<std::int64_t>(-channel, -lrn.before);
        const std::int64_t past = std::min(lrn.channels - channel, lrn.after + 1);
        double sum = 0.0;
        for (std::int64_t k = first; k < past; ++k) sum += x[i + k * stride] * x[i + k * stride];
        y[i] = x[i] /
               std::pow(static_cast<double>(lrn.bias) + scale * sum, static_cast<double>(lrn.beta));
      }
    });
  };
  return step;
}

Step lower_lrn(LowerContext& c) {
  const kernels::Lrn lrn = parameters(c);
  if (c.dtype(0) == DType::kFloat64) return lower_double(c, lrn);
  const bool last =
      c.shape(0).rank() == 2 || same_bytes(c.shape(0), c.layout(0), Layout::kChannelsLast);
  return last ? lower_pixels(c, lrn) : lower_planes(c, lrn);
}

double lrn_flops(const OpContext& c, std::span<const ValueInfo>) {
  return static_cast<double>(c.shape(0).elements()) *
         (2.0 * static_cast<double>(c.attr_int("size")) + 4.0);
}

constexpr AttrDef kAttrs[] = {
    {.name = "size", .type = AttrType::kInt, .doc = "channels to sum over", .required = true},
    {.name = "alpha",
     .type = AttrType::kFloat,
     .doc = "weight of the squares",
     .float_default = 1e-4f},
    {.name = "beta", .type = AttrType::kFloat, .doc = "exponent", .float_default = 0.75f},
    {.name = "bias", .type = AttrType::kFloat, .doc = "added to the sum", .float_default = 1.0f}};

constexpr OpDef kOps[] = {
    {.name = "LRN",
     .doc = "x / (bias + alpha / size * sum of squares of neighbouring channels)^beta (Krizhevsky, "
            "Sutskever & Hinton 2012).",
     .attributes = kAttrs,
     .infer = infer_lrn,
     .lower = lower_lrn,
     .layout = LayoutRule::kFollow,
     .flops = lrn_flops},
};

}  // namespace

extern const OpTable lrn_ops;
const OpTable lrn_ops = {kOps};

}  // namespace lanewise
