// Slice and CenterCropPad: regular boxes of a tensor.
#include "engine/ops/slice.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// NumPy's rule for start:end:step over a dimension of `size`, with the count of elements.
void slice_axis(std::int64_t size, std::int64_t start, std::int64_t end, std::int64_t step,
                Slices& slices, int axis) {
  // A step beyond the dimension takes one element, whatever its size; this keeps products small.
  const std::int64_t most = std::max<std::int64_t>(size, 1);
  step = std::clamp(step, -most, most);
  const std::int64_t least = step < 0 ? -1 : 0;
  const auto bound = [&](std::int64_t at) {
    return std::clamp(at < 0 ? at + size : at, least, size + least);
  };
  const std::int64_t first = bound(start), last = bound(end);
  const std::int64_t span = step > 0 ? last - first : first - last;
  slices.start[static_cast<std::size_t>(axis)] = first;
  slices.step[static_cast<std::size_t>(axis)] = step;
  slices.out[axis] = span <= 0 ? 0 : (span - 1) / std::llabs(step) + 1;
}

}  // namespace

Slices resolve_slices(const OpContext& c) {
  const Shape& in = c.shape(0);
  Slices slices{std::vector<std::int64_t>(static_cast<std::size_t>(in.rank()), 0),
                std::vector<std::int64_t>(static_cast<std::size_t>(in.rank()), 1), in};
  const std::vector<std::int64_t> starts = c.content(1)->int_values();
  const std::vector<std::int64_t> ends = c.content(2)->int_values();
  std::vector<std::int64_t> axes, steps(starts.size(), 1);
  if (c.has_input(3)) {
    axes = c.content(3)->int_values();
  } else {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (c.has_input(4)) steps = c.content(4)->int_values();
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    c.fail("'starts', 'ends', 'axes' and 'steps' must have as many elements, found " +
           std::to_string(starts.size()) + ", " + std::to_string(ends.size()) + ", " +
           std::to_string(axes.size()) + " and " + std::to_string(steps.size()));
  }
  std::vector<bool> seen(static_cast<std::size_t>(in.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normalize_axis(axes[i], in.rank());
    if (!axis || seen[static_cast<std::size_t>(*axis)]) {
      c.fail("axis " + std::to_string(axes[i]) + " is outside or repeated for an input of shape " +
             in.str());
    }
    if (steps[i] == 0) c.fail("the step of axis " + std::to_string(axes[i]) + " is 0");
    seen[static_cast<std::size_t>(*axis)] = true;
    slice_axis(in[*axis], starts[i], ends[i], steps[i], slices, *axis);
  }
  return slices;
}

namespace {

void infer_slice(InferContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) {
    if (!c.has_input(i)) continue;
    c.expect_dtype(i, {DType::kInt32, DType::kInt64});
    c.need(i);
  }
  c.set_output(0, c.dtype(0), resolve_slices(c).out);
}

Step lower_slice(LowerContext& c) {
  const Slices slices = resolve_slices(c);
  std::vector<std::int64_t> in = layout_strides(c.shape(0), c.layout(0));
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    offset += slices.start[i] * in[i];
    in[i] *= slices.step[i];
  }
  StridedCopy copy(box(slices.out, in, value_strides(c.output(0))), c.dtype(0), c.isa());
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [copy = std::move(copy), offset](const RunContext& run) {
    copy.run(run.inputs[0], offset, run.outputs[0], 0, run.threads);
  };
  return step;
}

void infer_center_crop_pad(InferContext& c) {
  Shape out = c.shape(0);
  const std::vector<std::int64_t> sizes = c.need_ints(1);
  std::vector<std::int64_t> axes = c.attr_ints("axes");
  if (!c.has_attr("axes")) {
    for (int i = 0; i < out.rank(); ++i) axes.push_back(i);
  }
  if (axes.size() != sizes.size()) {
    c.fail("expected a size for each of " + std::to_string(axes.size()) + " axes, found " +
           Shape(sizes).str());
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normalize_axis(axes[i], out.rank());
    if (!axis) c.fail("axis " + std::to_string(axes[i]) + " is outside the shape " + out.str());
    if (sizes[i] < 0) c.fail("size " + std::to_string(sizes[i]) + " is negative");
    out[*axis] = sizes[i];
  }
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

Step lower_center_crop_pad(LowerContext& c) {
  const Shape& in = c.shape(0);
  const Shape& out = c.out_shape(0);
  const std::vector<std::int64_t> in_strides = layout_strides(in, c.layout(0));
  const std::vector<std::int64_t> out_strides = layout_strides(out, c.out_layout(0));
  Shape kept = out;
  std::int64_t in_offset = 0, out_offset = 0;
  for (int i = 0; i < in.rank(); ++i) {
    kept[i] = std::min(in[i], out[i]);
    in_offset += (in[i] - kept[i]) / 2 * in_strides[static_cast<std::size_t>(i)];
    out_offset += (out[i] - kept[i]) / 2 * out_strides[static_cast<std::size_t>(i)];
  }
  StridedCopy copy(box(kept, in_strides, out_strides), c.dtype(0), c.isa());
  const std::int64_t elements = out.elements();
  const bool pads = kept != out;
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [=, copy = std::move(copy), dtype = c.dtype(0)](const RunContext& run) {
    if (pads) {
      visit_element(dtype, [&](auto type) {
        using T = typename decltype(type)::type;
        std::fill_n(run.out<T>(0), elements, T{});
      });
    }
    copy.run(run.inputs[0], in_offset, run.outputs[0], out_offset, run.threads);
  };
  return step;
}

constexpr AttrDef kCenterCropPadAttrs[] = {{.name = "axes",
                                            .type = AttrType::kInts,
                                            .doc = "axes that the sizes are for; all when absent"}};

constexpr OpDef kOps[] = {
    {.name = "Slice",
     .doc = "The elements start:end:step along some axes, as in NumPy.",
     .min_inputs = 3,
     .max_inputs = 5,
     .infer = infer_slice,
     .lower = lower_slice,
     .layout = LayoutRule::kFollow,
     .pitched = [](const Node&) { return Pitched{.inputs = 0, .output = true}; },
     .any_float = true,
     .flops = no_flops},
    {.name = "CenterCropPad",
     .doc = "The middle of the input, cut or padded with zeros to a shape.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kCenterCropPadAttrs,
     .infer = infer_center_crop_pad,
     .lower = lower_center_crop_pad,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable slice_ops;
const OpTable slice_ops = {kOps};

}  // namespace lanewise
