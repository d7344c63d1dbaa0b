// DeformConv (Dai et al. 2017; Zhu et al. 2019): samples at learned offsets, gathered as columns
// that the matrix product multiplies with the weights.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/gemm.h"
#include "engine/graph/op.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

constexpr int kMaxSpatial = 3;
constexpr std::int64_t kColumns = 128;  // output positions gathered at a time

void check_channels(const InferContext& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  const std::int64_t group = c.attr_int("group"), offsets = c.attr_int("offset_group");
  if (group < 1 || x[1] != checked_multiply(w[1], group) || w[0] % group != 0) {
    c.fail("attribute 'group' is " + std::to_string(group) + ", and the weights " + w.str() +
           " do not fit an input of shape " + x.str());
  }
  if (offsets < 1 || x[1] % offsets != 0) {
    c.fail("attribute 'offset_group' is " + std::to_string(offsets) +
           ", expected a divisor of the " + std::to_string(x[1]) + " channels");
  }
}

// Shape [N, channels, out...] of an offset or mask.
void check_field(const InferContext& c, int i, std::int64_t channels, const Window& window) {
  c.expect_same_dtype(0, i);
  const Shape wanted = window_output(c, window, channels);
  if (c.shape(i) != wanted) {
    c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + ", found " +
           c.shape(i).str());
  }
}

void infer_deform_conv(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_same_dtype(0, 1);
  c.expect_rank(0, 3, 2 + kMaxSpatial);
  const Window window = resolve_window(c, weight_kernel(c));
  check_channels(c);
  std::int64_t taps = c.attr_int("offset_group");
  for (std::int64_t k : window.kernel) taps = checked_multiply(taps, k);
  check_field(c, 2, checked_multiply(taps, window.rank()), window);
  if (c.has_input(3)) {
    c.expect_same_dtype(0, 3);
    if (c.shape(3) != Shape{c.shape(1)[0]}) {
      c.fail("the bias (input 3) must have shape " + Shape{c.shape(1)[0]}.str() + ", found " +
             c.shape(3).str());
    }
  }
  if (c.has_input(4)) check_field(c, 4, taps, window);
  const Shape out = window_output(c, window, c.shape(1)[0]);
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

struct DeformPlan {
  Window window;
  std::vector<std::int64_t> in, in_strides;  // of the spatial axes
  std::int64_t batch = 0, channels = 0, outputs = 0, group = 1, offset_group = 1;
  std::int64_t taps = 1, positions = 1, pixels = 1;

  std::int64_t depth() const { return channels / group * taps; }
};

// The pixels around a point and their weights in the linear interpolation; outside is zero.
struct Corners {
  int count = 0;
  std::int64_t at[1 << kMaxSpatial];
  double weight[1 << kMaxSpatial];
};

Corners corners(const DeformPlan& plan, const double* point, double scale) {
  Corners result{1, {0}, {scale}};
  for (std::size_t axis = 0; axis < plan.in.size(); ++axis) {
    const double x = point[axis], size = static_cast<double>(plan.in[axis]);
    if (!(x > -1.0 && x < size)) return {};
    const double base = std::floor(x);
    const auto first = static_cast<std::int64_t>(base);
    Corners next;
    for (int i = 0; i < result.count; ++i) {
      for (int side = 0; side < 2; ++side) {
        const std::int64_t at = first + side;
        const double weight = side == 0 ? 1.0 - (x - base) : x - base;
        if (at < 0 || at >= plan.in[axis] || weight == 0.0) continue;
        next.at[next.count] = result.at[i] + at * plan.in_strides[axis];
        next.weight[next.count++] = result.weight[i] * weight;
      }
    }
    result = next;
  }
  return result;
}

// Where tap `tap` of output position `position` samples, with its offset.
template <class T>
void sample_point(const DeformPlan& plan, std::int64_t tap, std::int64_t position, const T* offset,
                  double* point) {
  const Window& w = plan.window;
  const int rank = w.rank();
  const T* moved = offset + tap * rank * plan.positions + position;
  for (int axis = rank; axis-- > 0;) {
    const auto i = static_cast<std::size_t>(axis);
    const std::int64_t k = tap % w.kernel[i], o = position % w.out[i];
    tap /= w.kernel[i];
    position /= w.out[i];
    point[axis] = static_cast<double>(o * w.stride[i] - w.pad_begin[i] + k * w.dilation[i]) +
                  static_cast<double>(moved[axis * plan.positions]);
  }
}

// Columns [first, first + count) of one image and group: row channel * taps + tap.
template <class T>
void gather_columns(const DeformPlan& plan, const RunContext& run, std::int64_t image,
                    std::int64_t group, std::int64_t first, std::int64_t count, T* columns) {
  const std::int64_t per_group = plan.channels / plan.group;
  const std::int64_t per_offset = plan.channels / plan.offset_group;
  const std::int64_t fields = image * plan.offset_group;
  const std::int64_t begin = group * per_group, end = begin + per_group;
  const auto rank = static_cast<std::int64_t>(plan.in.size());
  for (std::int64_t channel = begin; channel < end;) {
    const std::int64_t field = channel / per_offset;
    const std::int64_t next = std::min(end, (field + 1) * per_offset);
    const std::int64_t at = (fields + field) * plan.taps * plan.positions;
    const T* offset = run.in<T>(2) + at * rank;
    const T* mask = run.has_in(4) ? run.in<T>(4) + at : nullptr;
    for (std::int64_t tap = 0; tap < plan.taps; ++tap) {
      for (std::int64_t p = 0; p < count; ++p) {
        double point[kMaxSpatial];
        sample_point(plan, tap, first + p, offset, point);
        const double scale =
            mask == nullptr ? 1.0 : static_cast<double>(mask[tap * plan.positions + first + p]);
        const Corners c = corners(plan, point, scale);
        for (std::int64_t ch = channel; ch < next; ++ch) {
          const T* map = run.in<T>(0) + (image * plan.channels + ch) * plan.pixels;
          double sum = 0;
          for (int i = 0; i < c.count; ++i) sum += static_cast<double>(map[c.at[i]]) * c.weight[i];
          columns[((ch - begin) * plan.taps + tap) * count + p] = static_cast<T>(sum);
        }
      }
    }
    channel = next;
  }
}

// One block of output positions of one image and group.
struct Block {
  std::int64_t image, group, first, count;
};

Block block_of(const DeformPlan& plan, std::int64_t task) {
  const std::int64_t blocks = (plan.positions + kColumns - 1) / kColumns;
  const std::int64_t first = task % blocks * kColumns;
  const std::int64_t rest = task / blocks;
  return {rest / plan.group, rest % plan.group, first, std::min(kColumns, plan.positions - first)};
}

std::int64_t tasks_of(const DeformPlan& plan) {
  return plan.batch * plan.group * ((plan.positions + kColumns - 1) / kColumns);
}

// Starts each row of the block's output from the bias.
template <class T>
void fill_bias(const DeformPlan& plan, const RunContext& run, const Block& block, T* out) {
  const std::int64_t rows = plan.outputs / plan.group;
  for (std::int64_t row = 0; row < rows; ++row) {
    const T bias = run.has_in(3) ? run.in<T>(3)[block.group * rows + row] : T{0};
    std::fill_n(out + row * plan.positions, block.count, bias);
  }
}

template <class T>
T* block_output(const DeformPlan& plan, const RunContext& run, const Block& block) {
  const std::int64_t rows = plan.outputs / plan.group;
  return run.out<T>(0) + (block.image * plan.outputs + block.group * rows) * plan.positions +
         block.first;
}

// Weights as they lie are the rows of the product, the gathered samples its packed columns.
Step lower_float(const LowerContext& c, const DeformPlan& plan) {
  const std::int64_t depth = plan.depth(), rows = plan.outputs / plan.group;
  const GemmPlan full = plan_gemm(c.isa(), std::min(kColumns, plan.positions), 1, depth);
  const std::int64_t tail = plan.positions % kColumns;
  const GemmPlan rest = plan_gemm(c.isa(), tail == 0 ? full.n : tail, 1, depth);
  const std::int64_t packed = std::max(full.packed_floats(), rest.packed_floats());
  // Floats of a thread: columns, packed columns, then pointers to the rows.
  const std::int64_t columns = (depth * full.n + 15) / 16 * 16;
  const std::int64_t own = columns + (packed + 15) / 16 * 16 + (2 * rows + 15) / 16 * 16;
  Step step;
  step.algorithm = "gathered gemm";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(own, 4 * c.threads()));
  step.run = [=](const RunContext& run) {
    parallel_tasks(run.threads, tasks_of(plan), [&](std::int64_t task, int thread) {
      const Block block = block_of(plan, task);
      const GemmPlan& gemm = block.count == full.n ? full : rest;
      float* samples = reinterpret_cast<float*>(run.scratch) + thread * own;
      float* panels = samples + columns;
      auto** table = reinterpret_cast<const float**>(panels + (packed + 15) / 16 * 16);
      for (std::int64_t row = 0; row < rows; ++row) {
        table[row] = run.in<float>(1) + (block.group * rows + row) * depth;
      }
      gather_columns(plan, run, block.image, block.group, block.first, block.count, samples);
      pack_panels(gemm, {samples, 0, block.count, 1}, 0, gemm.panels(), panels);
      float* out = block_output<float>(plan, run, block);
      fill_bias(plan, run, block, out);
      GemmOutput output{out, plan.positions, {}};
      output.epilogue.residual = out;
      output.epilogue.residual_stride = plan.positions;
      run_block(gemm, {table, 0, 0, rows, depth}, panels, 0, gemm.panels(), output);
    });
  };
  return step;
}

Step lower_double(const LowerContext& c, const DeformPlan& plan) {
  const std::int64_t depth = plan.depth(), own = depth * std::min(kColumns, plan.positions);
  Step step;
  step.algorithm = "gathered";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(own, 8 * c.threads()));
  step.run = [=](const RunContext& run) {
    parallel_tasks(run.threads, tasks_of(plan), [&](std::int64_t task, int thread) {
      const Block block = block_of(plan, task);
      double* samples = reinterpret_cast<double*>(run.scratch) + thread * own;
      gather_columns(plan, run, block.image, block.group, block.first, block.count, samples);
      double* out = block_output<double>(plan, run, block);
      fill_bias(plan, run, block, out);
      const std::int64_t rows = plan.outputs / plan.group;
      for (std::int64_t row = 0; row < rows; ++row) {
        const double* weights = run.in<double>(1) + (block.group * rows + row) * depth;
        for (std::int64_t k = 0; k < depth; ++k) {
          for (std::int64_t p = 0; p < block.count; ++p) {
            out[row * plan.positions + p] += weights[k] * samples[k * block.count + p];
          }
        }
      }
    });
  };
  return step;
}

Step lower_deform_conv(LowerContext& c) {
  const Shape& x = c.shape(0);
  DeformPlan plan;
  plan.window = resolve_window(c, weight_kernel(c));
  plan.in.assign(x.begin() + 2, x.end());
  plan.in_strides = Shape(plan.in).strides();
  plan.batch = x[0];
  plan.channels = x[1];
  plan.outputs = c.shape(1)[0];
  plan.group = c.attr_int("group");
  plan.offset_group = c.attr_int("offset_group");
  for (std::int64_t k : plan.window.kernel) plan.taps *= k;
  plan.positions = c.out_shape(0).elements(2, x.rank());
  plan.pixels = x.elements(2, x.rank());
  if (c.out_shape(0).elements() == 0) {
    Step nothing;
    nothing.run = [](const RunContext&) {};
    return nothing;
  }
  return c.dtype(0) == DType::kFloat64 ? lower_double(c, plan) : lower_float(c, plan);
}

double deform_conv_flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const Shape& w = c.shape(1);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(w.elements(1, w.rank()));
}

constexpr AttrDef kAttrs[] = {
    {.name = "dilations",
     .type = AttrType::kInts,
     .doc = "distance of taps per axis, 1 unless given"},
    {.name = "group", .type = AttrType::kInt, .doc = "channel groups", .int_default = 1},
    {.name = "kernel_shape", .type = AttrType::kInts, .doc = "that of the weights unless given"},
    {.name = "offset_group",
     .type = AttrType::kInt,
     .doc = "groups of channels that share their offsets",
     .int_default = 1},
    {.name = "pads",
     .type = AttrType::kInts,
     .doc = "zeros around the input: all begins, then all ends"},
    {.name = "strides", .type = AttrType::kInts, .doc = "step per axis, 1 unless given"}};

constexpr OpDef kOps[] = {
    {.name = "DeformConv",
     .doc = "Convolution whose taps are moved by learned offsets (Dai et al. 2017).",
     .min_inputs = 3,
     .max_inputs = 5,
     .attributes = kAttrs,
     .infer = infer_deform_conv,
     .lower = lower_deform_conv,
     .flops = deform_conv_flops},
};

}  // namespace

extern const OpTable deform_conv_ops;
const OpTable deform_conv_ops = {kOps};

}  // namespace lanewise
