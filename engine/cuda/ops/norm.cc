// Softmax and normalisation.
#include "engine/cuda/kernels/norm.cuh"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/eltwise.h"
#include "engine/cuda/epilogue.h"
#include "engine/ops/fused.h"
#include "engine/ops/softmax.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256, kMostBlocks = 65535;

bool channels_last(const CudaLowerContext& c) {
  return c.layout(0) == Layout::kChannelsLast && c.shape(0).rank() >= 3;
}

// Whole warps for a row of this length.
unsigned row_threads(std::int64_t length) {
  unsigned threads = 32;
  while (threads < kThreads && threads * 4 < length) threads *= 2;
  return threads;
}

template <bool log>
Step lower_softmax(CudaLowerContext& c) {
  const SoftmaxGroups groups = softmax_groups(c);
  (void)counted(c, c.shape(0).elements());
  SoftmaxCall p;
  p.outer = static_cast<unsigned>(groups.outer);
  p.length = static_cast<unsigned>(groups.n);
  p.inner = divisor_of(static_cast<unsigned>(groups.inner));
  p.log = log;
  const bool rows = groups.inner == 1;
  const unsigned threads = row_threads(groups.n);
  const Kernel kernel = c.kernel("softmax", (rows ? "softmax_rows_" : "softmax_columns_") +
                                                std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = rows ? "rows" : "columns";
  step.run = [=, count = groups.outer * groups.inner](const RunContext& run) {
    SoftmaxCall now = p;
    now.x = run.inputs[0];
    now.y = run.outputs[0];
    if (rows) return kernel.launch(run, {std::min(now.outer, kMostBlocks)}, {threads}, 0, now);
    kernel.launch(run, blocks_for(count, kThreads), {kThreads}, 0, now);
  };
  return step;
}

template <bool rms>
Step lower_rows(CudaLowerContext& c) {
  const Shape& shape = c.shape(0);
  const int axis = c.attr_axis(shape.rank());
  RowNormCall p;
  p.columns = counted(c, shape.elements(axis, shape.rank()));
  p.rows = counted(c, shape.elements(0, axis));
  (void)counted(c, shape.elements());
  for (int i = 1; i < (rms ? 2 : 3); ++i) {
    if (c.has_input(i) && c.shape(i).elements() != p.columns)
      c.refuse("input " + std::to_string(i) + " is broadcast along a row");
    if (c.has_input(i) && c.dtype(i) != c.dtype(0)) c.refuse("the types of its inputs differ");
  }
  for (int i = 1; i < c.num_outputs(); ++i) {
    if (c.has_output(i) && c.output(i).dtype != c.dtype(0))
      c.refuse("the types of its results differ");
  }
  p.epsilon = c.attr_float("epsilon");
  p.rms = rms;
  const unsigned threads = row_threads(p.columns);
  const bool mean = c.has_output(1), inverse = c.has_output(2), bias = !rms && c.has_input(2);
  const Kernel kernel = c.kernel("norm", "row_norm_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = "rows";
  step.run = [=](const RunContext& run) {
    RowNormCall now = p;
    now.x = run.inputs[0];
    now.scale = run.inputs[1];
    if (bias) now.bias = run.inputs[2];
    now.y = run.outputs[0];
    if (mean) now.mean = run.outputs[1];
    if (inverse) now.inverse = run.outputs[2];
    kernel.launch(run, {std::min(now.rows, kMostBlocks)}, {threads}, 0, now);
  };
  return step;
}

ScaleShiftCall scale_shift_call(const CudaLowerContext& c, bool per_image) {
  const Shape& shape = c.shape(0);
  ScaleShiftCall p;
  p.elements = counted(c, shape.elements());
  p.channels = divisor_of(static_cast<unsigned>(shape.rank() < 2 ? 1 : shape[1]));
  p.pixels = divisor_of(
      static_cast<unsigned>(shape.rank() < 2 ? shape.elements() : shape.elements(2, shape.rank())));
  p.channels_last = channels_last(c);
  p.per_image = per_image;
  const kernels::ActivationCall activation = fused_activation(c);
  p.function = static_cast<int>(activation.function);
  p.alpha = activation.alpha;
  p.beta = activation.beta;
  return p;
}

// A factor and a shift for each channel.
Step scale_step(const CudaLowerContext& c, const std::vector<float>& factors) {
  const auto held = c.device()->upload(factors.data(), factors.size() * sizeof(float));
  const ScaleShiftCall p = scale_shift_call(c, false);
  const Kernel kernel = c.kernel("norm", "scale_shift_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = "scale and shift";
  step.run = [=](const RunContext& run) {
    ScaleShiftCall now = p;
    now.x = run.inputs[0];
    now.y = run.outputs[0];
    now.factors = reinterpret_cast<const float*>(held.get());
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

// Scale and shift are made of constants while planning.
Step lower_batch_norm(CudaLowerContext& c) {
  if (c.node().op->domain.empty() && c.attr_int("training_mode") != 0)
    c.refuse("it takes the statistics of the batch");
  std::vector<double> values[4];
  for (int i = 0; i < 4; ++i) {
    if (c.content(i + 1) == nullptr) c.refuse("its parameters are no constants");
    values[i] = c.content(i + 1)->float_values();
  }
  const double epsilon = static_cast<double>(c.attr_float("epsilon"));
  std::vector<float> factors;
  for (std::size_t i = 0; i < values[0].size(); ++i) {
    const double factor = values[0][i] / std::sqrt(values[3][i] + epsilon);
    factors.push_back(static_cast<float>(factor));
    factors.push_back(static_cast<float>(values[1][i] - values[2][i] * factor));
  }
  return scale_step(c, factors);
}

Step lower_image_scaler(CudaLowerContext& c) {
  std::vector<float> factors;
  for (float bias : c.attr_floats("bias")) {
    factors.push_back(c.attr_float("scale"));
    factors.push_back(bias);
  }
  return scale_step(c, factors);
}

// Moments in pieces, their sums as a factor and a shift per channel, and those applied.
Step lower_moments(CudaLowerContext& c, std::int64_t groups) {
  const Shape& shape = c.shape(0);
  for (int i = 1; i < 3; ++i) {
    if (c.dtype(i) != c.dtype(0)) c.refuse("the types of its inputs differ");
  }
  if (shape[0] > kMostBlocks) c.refuse("there are more than 65535 images");
  Planes planes{static_cast<unsigned>(shape[0]), static_cast<unsigned>(shape[1]),
                static_cast<unsigned>(shape.elements(2, shape.rank())), channels_last(c)};
  // Enough pixels that a block's start costs little, few enough that blocks fill the device.
  const unsigned least = planes.channels_last ? 512 : 4096;
  unsigned chunks = std::clamp(planes.pixels / least, 1u, 1024u);
  const unsigned chunk = (planes.pixels + chunks - 1) / chunks;
  chunks = (planes.pixels + chunk - 1) / chunk;
  const auto channels = static_cast<std::int64_t>(planes.images) * planes.channels;
  const std::size_t partial = static_cast<std::size_t>(channels) * chunks * 2 * sizeof(float);
  const MomentsCall moments{nullptr, nullptr, planes, chunks, chunk};
  FactorsCall factors;
  factors.planes = planes;
  factors.chunks = chunks;
  factors.chunk = chunk;
  factors.groups = static_cast<unsigned>(groups);
  factors.epsilon = c.attr_float("epsilon");
  const ScaleShiftCall apply = scale_shift_call(c, true);
  const std::string suffix = float_suffix(c, c.dtype(0));
  const Kernel first = c.kernel("norm", "moments_" + suffix);
  const Kernel second = c.kernel("norm", "factors_" + suffix);
  const Kernel third = c.kernel("norm", "scale_shift_" + suffix);
  Step step;
  step.algorithm = "moments, scale and shift";
  step.scratch_bytes = partial + static_cast<std::size_t>(channels) * 2 * sizeof(float);
  step.run = [=](const RunContext& run) {
    MomentsCall m = moments;
    m.x = run.inputs[0];
    m.partial = reinterpret_cast<float*>(run.scratch);
    const unsigned across = planes.channels_last
                                ? (planes.channels + kMomentLanes - 1) / kMomentLanes
                                : planes.channels;
    first.launch(run, {across, chunks, planes.images}, {kMomentLanes, kMomentParts}, 0, m);
    FactorsCall f = factors;
    f.partial = m.partial;
    f.scale = run.inputs[1];
    f.bias = run.inputs[2];
    f.factors = reinterpret_cast<float*>(run.scratch + partial);
    second.launch(run, blocks_for(planes.images * groups, 64), {64}, 0, f);
    ScaleShiftCall a = apply;
    a.x = run.inputs[0];
    a.y = run.outputs[0];
    a.factors = f.factors;
    third.launch(run, blocks_for(a.elements, kThreads), {kThreads}, 0, a);
  };
  return step;
}

Step lower_instance_norm(CudaLowerContext& c) { return lower_moments(c, c.shape(0)[1]); }
Step lower_group_norm(CudaLowerContext& c) { return lower_moments(c, c.attr_int("num_groups")); }

Step lower_lrn(CudaLowerContext& c) {
  const Shape& shape = c.shape(0);
  const std::int64_t size = c.attr_int("size");
  LrnCall p;
  p.elements = counted(c, shape.elements());
  p.channels = divisor_of(static_cast<unsigned>(shape[1]));
  p.inner =
      divisor_of(channels_last(c) ? 1 : static_cast<unsigned>(shape.elements(2, shape.rank())));
  p.before = static_cast<int>((size - 1) / 2);
  p.after = static_cast<int>(size - 1) - p.before;
  p.alpha = c.attr_float("alpha") / static_cast<float>(size);
  p.beta = c.attr_float("beta");
  p.bias = c.attr_float("bias");
  const Kernel kernel = c.kernel("norm", "lrn_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = "windows over channels";
  step.run = [=](const RunContext& run) {
    LrnCall now = p;
    now.x = run.inputs[0];
    now.y = run.outputs[0];
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

constexpr CudaOp kOps[] = {
    {.name = "Softmax", .lower = lower_softmax<false>},
    {.name = "LogSoftmax", .lower = lower_softmax<true>},
    {.name = "LayerNormalization", .lower = lower_rows<false>},
    {.name = "RMSNormalization", .lower = lower_rows<true>},
    {.name = "BatchNormalization", .lower = lower_batch_norm},
    {.domain = "lanewise", .name = "FusedBatchNormalization", .lower = lower_batch_norm},
    {.name = "ImageScaler", .lower = lower_image_scaler},
    {.name = "InstanceNormalization", .lower = lower_instance_norm},
    {.domain = "lanewise", .name = "FusedInstanceNormalization", .lower = lower_instance_norm},
    {.name = "GroupNormalization", .lower = lower_group_norm},
    {.name = "LRN", .lower = lower_lrn}};

}  // namespace

extern const CudaOpTable norm_cuda_ops;
const CudaOpTable norm_cuda_ops = {kOps};

}  // namespace lanewise::cuda
