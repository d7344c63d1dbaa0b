// InstanceNormalization, GroupNormalization and MeanVarianceNormalization: statistics of the sample
// itself, over channels and positions. lanewise:FusedInstanceNormalization adds an activation.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/cpu/channel_norm.h"
#include "engine/graph/op.h"
#include "engine/ops/fused.h"

namespace lanewise {
namespace {

void infer_scaled(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 2, 16);
  check_activation(c);
  expect_channel_values(c, 1, c.shape(0)[1]);
  expect_channel_values(c, 2, c.shape(0)[1]);
  c.set_output(0, c.dtype(0), c.shape(0));
}

void infer_group(InferContext& c) {
  infer_scaled(c);
  const std::int64_t groups = c.attr_int("num_groups"), channels = c.shape(0)[1];
  if (groups < 1 || channels % groups != 0) {
    c.fail("attribute 'num_groups' is " + std::to_string(groups) + ", expected a divisor of the " +
           std::to_string(channels) + " channels of input 0");
  }
}

ChannelNorm scaled_norm(const LowerContext& c) {
  ChannelNorm norm;
  norm.epsilon = static_cast<double>(c.attr_float("epsilon"));
  norm.scale = 1;
  norm.bias = 2;
  norm.activation = fused_activation(c);
  return norm;
}

Step lower_instance(LowerContext& c) { return channel_norm_step(c, scaled_norm(c)); }

Step lower_group(LowerContext& c) {
  ChannelNorm norm = scaled_norm(c);
  norm.channels = std::max<std::int64_t>(c.shape(0)[1] / c.attr_int("num_groups"), 1);
  return channel_norm_step(c, norm);
}

std::vector<bool> reduced_axes(const OpContext& c) {
  std::vector<std::int64_t> axes{0, 2, 3};
  if (c.has_attr("axes")) axes = c.attr_ints("axes");
  std::vector<bool> reduced(static_cast<std::size_t>(c.shape(0).rank()));
  for (std::int64_t axis : axes) {
    const auto normal = normalize_axis(axis, c.shape(0).rank());
    if (!normal) {
      c.fail("attribute 'axes' has " + std::to_string(axis) +
             ", outside the rank of input 0 of shape " + c.shape(0).str());
    }
    reduced[static_cast<std::size_t>(*normal)] = true;
  }
  return reduced;
}

void infer_mean_variance(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  reduced_axes(c);
  c.set_output(0, c.dtype(0), c.shape(0));
}

// Any axes: the group of an element is its position along the axes that are kept.
template <class T>
Step any_axes_step(const LowerContext& c, const std::vector<bool>& reduced, double epsilon) {
  const Shape shape = c.shape(0);
  Shape kept = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    if (reduced[static_cast<std::size_t>(i)]) kept[i] = 1;
  }
  const std::int64_t groups = kept.elements(), count = shape.elements();
  const std::vector<std::int64_t> strides = kept.strides();
  const auto group_of = [=](std::int64_t position) {
    std::int64_t group = 0;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      const auto k = static_cast<std::size_t>(i);
      if (!reduced[k]) group += position % shape[i] * strides[k];
      position /= shape[i];
    }
    return group;
  };
  Step step;
  step.algorithm = "two passes, any axes";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(groups, 16));
  step.run = [=](const RunContext& run) {
    const T* x = run.in<T>(0);
    T* y = run.out<T>(0);
    double* mean = reinterpret_cast<double*>(run.scratch);
    double* deviation = mean + groups;
    std::fill(mean, mean + 2 * groups, 0.0);
    const double members =
        static_cast<double>(count) / static_cast<double>(std::max<std::int64_t>(groups, 1));
    for (std::int64_t i = 0; i < count; ++i) mean[group_of(i)] += static_cast<double>(x[i]);
    for (std::int64_t g = 0; g < groups; ++g) mean[g] /= members;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t g = group_of(i);
      const double d = static_cast<double>(x[i]) - mean[g];
      deviation[g] += d * d;
    }
    for (std::int64_t g = 0; g < groups; ++g)
      deviation[g] = std::sqrt(deviation[g] / members) + epsilon;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t g = group_of(i);
      y[i] = static_cast<T>((static_cast<double>(x[i]) - mean[g]) / deviation[g]);
    }
  };
  return step;
}

Step lower_mean_variance(LowerContext& c) {
  constexpr double kEpsilon = 1e-9;  // of the operator's definition, added to the deviation
  const std::vector<bool> reduced = reduced_axes(c);
  const int rank = c.shape(0).rank();
  const bool positions =
      rank >= 2 && std::all_of(reduced.begin() + 2, reduced.end(), [](bool r) { return r; });
  // All positions, with either the images or the channels.
  if (positions && !(reduced[0] && reduced[1])) {
    ChannelNorm norm;
    norm.across_images = reduced[0];
    norm.channels = reduced[1] ? std::max<std::int64_t>(c.shape(0)[1], 1) : 1;
    norm.epsilon = kEpsilon;
    norm.epsilon_on_deviation = true;
    return channel_norm_step(c, norm);
  }
  return c.dtype(0) == DType::kFloat64 ? any_axes_step<double>(c, reduced, kEpsilon)
                                       : any_axes_step<float>(c, reduced, kEpsilon);
}

double norm_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 6.0 * static_cast<double>(c.shape(0).elements());
}

constexpr AttrDef kEpsilon = {.name = "epsilon",
                              .type = AttrType::kFloat,
                              .doc = "added to the variance",
                              .float_default = 1e-5f};
constexpr AttrDef kInstanceAttrs[] = {kEpsilon};
constexpr auto kFusedAttrs = with_activation_attrs(kInstanceAttrs);
constexpr AttrDef kGroupAttrs[] = {kEpsilon,
                                   {.name = "num_groups",
                                    .type = AttrType::kInt,
                                    .doc = "groups of neighbouring channels",
                                    .required = true},
                                   {.name = "stash_type",
                                    .type = AttrType::kInt,
                                    .doc = "accepted; sums are always kept in float64",
                                    .int_default = 1}};
constexpr AttrDef kMeanVarianceAttrs[] = {
    {.name = "axes", .type = AttrType::kInts, .doc = "axes to reduce, 0, 2 and 3 unless given"}};

constexpr OpDef kOps[] = {
    {.name = "InstanceNormalization",
     .doc = "Normalises each channel of each sample (Ulyanov, Vedaldi & Lempitsky 2016).",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kInstanceAttrs,
     .infer = infer_scaled,
     .lower = lower_instance,
     .layout = LayoutRule::kFollow,
     .flops = norm_flops},
    {.domain = "lanewise",
     .name = "FusedInstanceNormalization",
     .doc = "activation(InstanceNormalization(x)).",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kFusedAttrs,
     .infer = infer_scaled,
     .lower = lower_instance,
     .layout = LayoutRule::kFollow,
     .flops = norm_flops},
    {.name = "GroupNormalization",
     .doc = "Normalises groups of channels of each sample (Wu & He 2018).",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kGroupAttrs,
     .infer = infer_group,
     .lower = lower_group,
     .layout = LayoutRule::kFollow,
     .flops = norm_flops},
    {.name = "MeanVarianceNormalization",
     .doc = "(x - mean) / (deviation + 1e-9) over some axes.",
     .attributes = kMeanVarianceAttrs,
     .infer = infer_mean_variance,
     .lower = lower_mean_variance,
     .flops = norm_flops},
};

}  // namespace

extern const OpTable instance_norm_ops;
const OpTable instance_norm_ops = {kOps};

}  // namespace lanewise
