// Depthwise convolution: as many filters as channels, each reading its own channel.
#include "engine/kernels/depthwise/depthwise.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/cpu/conv/conv.h"
#include "engine/cpu/window_rows.h"

namespace lanewise {
namespace {

// A thread woken for less work than this costs more than it saves.
constexpr double kTaskMultiplyAdds = 1e5;

ConvOffer offer(const ConvProblem& p, const LowerContext& c) {
  if (p.group != p.channels || p.outputs != p.channels || p.group == 1) {
    return ConvOffer::refuse("the convolution is not depthwise with one filter per channel");
  }
  const std::int64_t lanes = kernels::depthwise_f32(c.isa()).lanes;
  const double vectors = static_cast<double>((p.channels + lanes - 1) / lanes);
  const double outputs = static_cast<double>(p.batch * p.out_pixels()) * vectors;
  // Two multiply-adds per cycle; writing an output takes about as long as two of them.
  return {outputs * static_cast<double>(p.taps() + 2) / 2.0, ""};
}

// [channels][taps] to [taps][channels].
void transpose_weights(const ConvProblem& p, const float* from, float* to) {
  const std::int64_t taps = p.taps();
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t c = 0; c < p.channels; ++c) to[tap * p.channels + c] = from[c * taps + tap];
  }
}

struct Depthwise {
  ConvProblem p;
  WindowRows window;
  void (*kernel)(const kernels::DepthwiseRow&) noexcept;
  std::int64_t most, all_rows, block;  // rows under a window, output rows, output rows of a task
  std::shared_ptr<const std::byte> weights;  // transposed while planning, or null
  std::size_t weight_bytes = 0;

  void run_rows(const RunContext& run, const float* packed, std::int64_t* list, std::int64_t begin,
                std::int64_t end) const {
    kernels::DepthwiseRow row;
    row.rows = list;
    row.filter_rows = list + most;
    row.width = p.in[2];
    row.channels = p.channels;
    row.weights = packed;
    row.out_width = p.out[2];
    row.kernel = p.kernel[2];
    row.stride = p.stride[2];
    row.dilation = p.dilation[2];
    row.pad = p.pad[2];
    row.epilogue.bias = run.has_in(2) ? run.in<float>(2) : nullptr;
    row.epilogue.residual_stride = p.channels;
    row.epilogue.activation = p.activation;
    row.epilogue.alpha = p.alpha;
    row.epilogue.beta = p.beta;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t image = i / window.out_rows(), at = i * p.out[2] * p.channels;
      row.row_count = window.at(i % window.out_rows(), list, list + most);
      row.in = run.in<float>(0) + image * p.in_pixels() * p.channels;
      row.out = run.out<float>(0) + at;
      row.epilogue.residual = run.has_in(3) ? run.in<float>(3) + at : nullptr;
      kernel(row);
    }
  }

  void operator()(const RunContext& run) const {
    const auto* packed = reinterpret_cast<const float*>(weights.get());
    if (packed == nullptr) {
      auto* fresh = reinterpret_cast<float*>(run.scratch);
      transpose_weights(p, run.in<float>(1), fresh);
      packed = fresh;
    }
    auto* lists = reinterpret_cast<std::int64_t*>(run.scratch + weight_bytes);
    parallel_tasks(run.threads, (all_rows + block - 1) / block, [&](std::int64_t task, int thread) {
      run_rows(run, packed, lists + thread * 2 * most, task * block,
               std::min(all_rows, (task + 1) * block));
    });
  }
};

Step build(const ConvProblem& p, const LowerContext& c) {
  std::vector<WindowAxis> axes;
  for (std::size_t i = 0; i < 3; ++i) {
    axes.push_back(
        {p.in[i], p.out[i], p.kernel[i], p.stride[i], p.dilation[i], p.pad[i], p.pad_end[i]});
  }
  Depthwise plan{p,      WindowRows(std::move(axes)), kernels::depthwise_f32(c.isa()).row, 0, 0, 0,
                 nullptr};
  plan.most = std::max<std::int64_t>(plan.window.most(), 1);
  plan.all_rows = p.batch * plan.window.out_rows();
  const double row_work =
      p.multiply_adds() / static_cast<double>(std::max<std::int64_t>(plan.all_rows, 1));
  plan.block = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(kTaskMultiplyAdds / std::max(row_work, 1.0)), 1,
      std::max<std::int64_t>(plan.all_rows, 1));
  const auto bytes = static_cast<std::size_t>(checked_multiply(p.channels * p.taps(), 4));
  if (const Tensor* weights = c.content(1)) {
    plan.weights = c.cache().get(*weights, "depthwise", bytes, [&](std::byte* to) {
      transpose_weights(p, weights->as<float>(), reinterpret_cast<float*>(to));
    });
  } else {
    plan.weight_bytes = aligned_size(bytes);
  }
  Step step;
  step.scratch_bytes =
      plan.weight_bytes + static_cast<std::size_t>(checked_multiply(16 * plan.most, c.threads()));
  step.run = plan;
  return step;
}

}  // namespace

const ConvAlgorithm conv_depthwise = {.name = "depthwise", .offer = offer, .build = build};

}  // namespace lanewise
