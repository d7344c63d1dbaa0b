// BatchNormalization: with given statistics at inference, with the batch's own in training mode;
// and lanewise:FusedBatchNormalization, inference with an activation after it.
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/channel_norm.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/moments.h"
#include "engine/graph/op.h"
#include "engine/ops/fused.h"

namespace lanewise {
namespace {

std::int64_t channels_of(const OpContext& c) { return c.shape(0).rank() < 2 ? 1 : c.shape(0)[1]; }

bool training_mode(const OpContext& c) {
  return c.node().op->domain.empty() && c.attr_int("training_mode") != 0;
}

void infer_batch_norm(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 1, 16);
  for (int i = 1; i < 5; ++i) expect_channel_values(c, i, channels_of(c));
  check_activation(c);
  const bool training = training_mode(c);
  if (!training && (c.has_output(1) || c.has_output(2))) {
    c.fail("outputs 1 and 2 exist in training mode only; set training_mode=1 or leave them out");
  }
  c.set_output(0, c.dtype(0), c.shape(0));
  c.set_exact_output(1, c.stored_dtype(3), Shape{channels_of(c)});
  c.set_exact_output(2, c.stored_dtype(4), Shape{channels_of(c)});
}

Step lower_training(const LowerContext& c) {
  ChannelNorm norm;
  norm.across_images = true;
  norm.epsilon = static_cast<double>(c.attr_float("epsilon"));
  norm.scale = 1;
  norm.bias = 2;
  const double momentum = static_cast<double>(c.attr_float("momentum"));
  const std::int64_t channels = channels_of(c);
  const DType types[] = {c.dtype(3), c.dtype(4)};
  norm.finish = [=](const RunContext& run, const double* mean, const double* variance) {
    for (int k = 0; k < 2; ++k) {
      if (!run.has_out(1 + k)) continue;
      const double* current = k == 0 ? mean : variance;
      for (std::int64_t i = 0; i < channels; ++i) {
        const double old = value_at(run.in<void>(3 + k), types[k], i);
        set_value(run.out<void>(1 + k), types[k], i,
                  old * momentum + current[i] * (1.0 - momentum));
      }
    }
  };
  return channel_norm_step(c, std::move(norm));
}

// Per channel: mean, scale / sqrt(variance + epsilon), bias.
struct Parameters {
  DType types[4];
  double epsilon;
  std::int64_t channels;

  template <class T>
  void fill(const void* const (&inputs)[4], T* result) const {
    for (std::int64_t i = 0; i < channels; ++i) {
      const double variance = value_at(inputs[3], types[3], i);
      result[i] = static_cast<T>(value_at(inputs[2], types[2], i));
      result[channels + i] =
          static_cast<T>(value_at(inputs[0], types[0], i) / std::sqrt(variance + epsilon));
      result[2 * channels + i] = static_cast<T>(value_at(inputs[1], types[1], i));
    }
  }
};

template <class T>
Step lower_inference(const LowerContext& c) {
  const Parameters parameters{{c.dtype(1), c.dtype(2), c.dtype(3), c.dtype(4)},
                              static_cast<double>(c.attr_float("epsilon")),
                              channels_of(c)};
  const Moments<T> moments = channel_moments<T>(c.isa(), c.shape(0), c.layout(0), true);
  const std::int64_t channels = parameters.channels, entries = moments.entries();
  const kernels::ActivationCall activation = fused_activation(c);
  const std::int64_t pitch = c.input(0).embedding.pitch;
  // Made once when all four are constants, else at every run.
  std::shared_ptr<std::vector<T>> constants;
  if (c.content(1) && c.content(2) && c.content(3) && c.content(4)) {
    constants = std::make_shared<std::vector<T>>(static_cast<std::size_t>(3 * channels));
    parameters.fill(
        {c.content(1)->data(), c.content(2)->data(), c.content(3)->data(), c.content(4)->data()},
        constants->data());
  }
  Step step;
  step.algorithm = "scale and shift";
  step.scratch_bytes =
      static_cast<std::size_t>(checked_multiply(3 * (channels + entries), sizeof(T)));
  step.run = [=](const RunContext& run) {
    T* made = reinterpret_cast<T*>(run.scratch);
    if (constants == nullptr) {
      parameters.fill({run.in<void>(1), run.in<void>(2), run.in<void>(3), run.in<void>(4)}, made);
    }
    const T* values = constants == nullptr ? made : constants->data();
    if (entries != channels) {  // one entry per image and channel
      T* table = made + 3 * channels;
      for (int k = 0; k < 3; ++k) {
        const T* row = values + k * channels;
        for (std::int64_t e = 0; e < entries; ++e) table[k * entries + e] = row[e % channels];
      }
      values = table;
    }
    moments.scale_shift(run.threads, run.in<T>(0), values, values + entries, values + 2 * entries,
                        run.out<T>(0), activation, pitch);
  };
  return step;
}

// The batch's own statistics are taken of dense pixels.
Pitched pitched(const Node& node) {
  const auto* training = node.attribute<std::int64_t>("training_mode");
  return {.inputs = training != nullptr && *training != 0 ? 0u : 1u};
}

Step lower_batch_norm(LowerContext& c) {
  if (training_mode(c)) return lower_training(c);
  return c.dtype(0) == DType::kFloat64 ? lower_inference<double>(c) : lower_inference<float>(c);
}

double batch_norm_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 2.0 * static_cast<double>(c.shape(0).elements());
}

constexpr AttrDef kAttrs[] = {
    {.name = "epsilon",
     .type = AttrType::kFloat,
     .doc = "added to the variance",
     .float_default = 1e-5f},
    {.name = "momentum",
     .type = AttrType::kFloat,
     .doc = "weight of the old statistics in training mode",
     .float_default = 0.9f},
    {.name = "training_mode",
     .type = AttrType::kInt,
     .doc = "1: normalise by the batch's own statistics and update the running ones"}};
constexpr auto kFusedAttrs = with_activation_attrs(kAttrs);

constexpr OpDef kOps[] = {
    {.name = "BatchNormalization",
     .doc =
         "(x - mean) / sqrt(variance + epsilon) * scale + bias per channel (Ioffe & Szegedy 2015).",
     .min_inputs = 5,
     .max_inputs = 5,
     .max_outputs = 3,
     .attributes = kAttrs,
     .infer = infer_batch_norm,
     .lower = lower_batch_norm,
     .layout = LayoutRule::kFollow,
     .inplace = 1,
     .pitched = pitched,
     .flops = batch_norm_flops},
    {.domain = "lanewise",
     .name = "FusedBatchNormalization",
     .doc = "activation(BatchNormalization(x)) with given statistics.",
     .min_inputs = 5,
     .max_inputs = 5,
     .attributes = kFusedAttrs,
     .infer = infer_batch_norm,
     .lower = lower_batch_norm,
     .layout = LayoutRule::kFollow,
     .inplace = 1,
     .pitched = pitched,
     .flops = batch_norm_flops},
};

}  // namespace

extern const OpTable batch_norm_ops;
const OpTable batch_norm_ops = {kOps};

}  // namespace lanewise
