// Pooling over all positions: GlobalAveragePool, GlobalMaxPool, GlobalLpPool.
#include <algorithm>
#include <cmath>
#include <string>

#include "engine/base/parallel.h"
#include "engine/cpu/moments.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_global(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 2, 16);
  Shape out{c.shape(0)[0], c.shape(0)[1]};
  for (int i = 2; i < c.shape(0).rank(); ++i) out.push_back(1);
  c.set_output(0, c.dtype(0), out);
}

void infer_lp(InferContext& c) {
  const std::int64_t p = c.attr_int("p");
  if (p < 1 || p > 1024) c.fail("attribute 'p' is " + std::to_string(p) + ", expected 1 to 1024");
  infer_global(c);
}

// Output element = finish(fold over the positions, number of positions). One position per channel
// leaves both layouts of the output alike.
template <class T, class Finish>
Step global_step(const LowerContext& c, Fold fold, int power, Finish finish) {
  const Moments<T> moments = channel_moments<T>(c.isa(), c.shape(0), c.layout(0));
  const std::int64_t entries = moments.entries();
  Step step;
  step.algorithm = c.layout(0) == Layout::kChannelsLast ? "columns" : "rows";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(entries + moments.scratch(), 8));
  step.run = [=](const RunContext& run) {
    double* result = reinterpret_cast<double*>(run.scratch);
    moments.reduce(run.threads, fold, run.in<T>(0), nullptr, result + entries, result, power);
    T* y = run.out<T>(0);
    const double count = static_cast<double>(moments.rows());
    for (std::int64_t i = 0; i < entries; ++i) y[i] = static_cast<T>(finish(result[i], count));
  };
  return step;
}

template <class Finish>
Step global_step(const LowerContext& c, Fold fold, int power, Finish finish) {
  return c.dtype(0) == DType::kFloat64 ? global_step<double>(c, fold, power, finish)
                                       : global_step<float>(c, fold, power, finish);
}

Step lower_average(LowerContext& c) {
  return global_step(c, Fold::kSum, 1, [](double sum, double count) { return sum / count; });
}

Step lower_max(LowerContext& c) {
  return global_step(c, Fold::kMax, 1, [](double largest, double) { return largest; });
}

Step lower_lp(LowerContext& c) {
  const int p = static_cast<int>(c.attr_int("p"));
  if (p == 1) return global_step(c, Fold::kAbs, p, [](double sum, double) { return sum; });
  if (p == 2)
    return global_step(c, Fold::kSquares, p, [](double sum, double) { return std::sqrt(sum); });
  return global_step(c, Fold::kPower, p,
                     [p](double sum, double) { return std::pow(sum, 1.0 / p); });
}

double global_flops(const OpContext& c, std::span<const ValueInfo>) {
  return static_cast<double>(c.shape(0).elements());
}

constexpr AttrDef kLpAttrs[] = {
    {.name = "p", .type = AttrType::kInt, .doc = "order of the norm", .int_default = 2}};

constexpr OpDef kOps[] = {
    {.name = "GlobalAveragePool",
     .doc = "The mean of each channel (Lin et al. 2014).",
     .infer = infer_global,
     .lower = lower_average,
     .layout = LayoutRule::kFollow,
     .flops = global_flops},
    {.name = "GlobalMaxPool",
     .doc = "The largest element of each channel; a NaN loses.",
     .infer = infer_global,
     .lower = lower_max,
     .layout = LayoutRule::kFollow,
     .flops = global_flops},
    {.name = "GlobalLpPool",
     .doc = "The p-norm of each channel (Sermanet et al. 2012).",
     .attributes = kLpAttrs,
     .infer = infer_lp,
     .lower = lower_lp,
     .layout = LayoutRule::kFollow,
     .flops = global_flops},
};

}  // namespace

extern const OpTable global_pool_ops;
const OpTable global_pool_ops = {kOps};

}  // namespace lanewise
