// Concat and Split: boxes copied side by side, in whichever layout each tensor has.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_concat(InferContext& c) {
  const Shape& first = c.shape(0);
  if (first.rank() == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  const int axis = c.attr_axis(first.rank());
  Shape out = first;
  for (int i = 1; i < c.num_inputs(); ++i) {
    c.expect_same_dtype(0, i);
    const Shape& shape = c.shape(i);
    Shape rest = shape;
    if (shape.rank() == first.rank()) rest[axis] = first[axis];
    if (rest != first) {
      c.fail("inputs may differ only in dimension " + std::to_string(axis) +
             ", found input 0 of shape " + first.str() + " and input " + std::to_string(i) +
             " of shape " + shape.str());
    }
    out[axis] += shape[axis];
  }
  static_cast<void>(out.elements());  // refuses sizes beyond 63 bits
  c.set_output(0, c.dtype(0), out);
}

Step lower_concat(LowerContext& c) {
  const std::vector<std::int64_t> out = value_strides(c.output(0));
  const int axis = c.attr_axis(c.out_shape(0).rank());
  struct Part {
    int input;
    std::int64_t offset;  // in the output
    StridedCopy copy;
  };
  std::vector<Part> parts;
  std::int64_t position = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const Shape& shape = c.shape(i);
    // An input that lies in the output already was written there by its own step.
    const Embedding& lies = c.input(i).embedding;
    if (lies.within != c.node().outputs[0] || lies.offset != position) {
      parts.push_back(
          {i, position * out[static_cast<std::size_t>(axis)],
           StridedCopy(box(shape, value_strides(c.input(i)), out), c.dtype(0), c.isa())});
    }
    position += shape[axis];
  }
  Step step;
  step.algorithm = parts.empty() ? "in place" : parts[0].copy.algorithm();
  step.run = [parts = std::move(parts)](const RunContext& run) {
    for (const Part& part : parts) {
      part.copy.run(run.inputs[static_cast<std::size_t>(part.input)], 0, run.outputs[0],
                    part.offset, run.threads);
    }
  };
  return step;
}

// Sizes of the outputs along the axis: input 1, or equal parts of which the last may be smaller.
std::vector<std::int64_t> split_sizes(InferContext& c, std::int64_t whole) {
  const int count = c.num_outputs();
  std::vector<std::int64_t> sizes;
  if (c.has_input(1)) {
    if (c.has_attr("num_outputs")) {
      c.fail("has both input 'split' and attribute 'num_outputs'; keep one");
    }
    sizes = c.need_ints(1);
    std::int64_t total = 0;
    for (std::int64_t size : sizes) {
      if (size < 0 || size > whole - total) total = whole + 1;
      if (total <= whole) total += size;
    }
    if (static_cast<int>(sizes.size()) != count || total != whole) {
      c.fail("'split' is " + Shape(sizes).str() + ", expected " + std::to_string(count) +
             " sizes >= 0, one for each output, whose sum is " + std::to_string(whole));
    }
    return sizes;
  }
  if (c.has_attr("num_outputs") && c.attr_int("num_outputs") != count) {
    c.fail("attribute 'num_outputs' is " + std::to_string(c.attr_int("num_outputs")) +
           ", but the node has " + std::to_string(count) + " outputs");
  }
  const std::int64_t size = (whole + count - 1) / count;
  for (int i = 0; i < count; ++i) {
    sizes.push_back(std::max<std::int64_t>(0, std::min(size, whole - i * size)));
  }
  return sizes;
}

void infer_split(InferContext& c) {
  const Shape& in = c.shape(0);
  if (in.rank() == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  const int axis = c.attr_axis(in.rank());
  const std::vector<std::int64_t> sizes = split_sizes(c, in[axis]);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Shape out = in;
    out[axis] = sizes[i];
    c.set_output(static_cast<int>(i), c.dtype(0), out);
  }
}

// The size of output i, also of one that the node leaves out.
std::vector<std::int64_t> planned_sizes(const LowerContext& c, int axis) {
  if (c.has_input(1)) return c.content(1)->int_values();
  const std::int64_t whole = c.shape(0)[axis], count = c.num_outputs();
  return std::vector<std::int64_t>(static_cast<std::size_t>(count), (whole + count - 1) / count);
}

Step lower_split(LowerContext& c) {
  const std::vector<std::int64_t> in = layout_strides(c.shape(0), c.layout(0));
  const int axis = c.attr_axis(c.shape(0).rank());
  struct Part {
    int output;
    std::int64_t offset;
    StridedCopy copy;
  };
  std::vector<Part> parts;
  std::int64_t position = 0;
  const std::vector<std::int64_t> sizes = planned_sizes(c, axis);
  for (int i = 0; i < c.num_outputs(); ++i) {
    if (c.has_output(i)) {
      const Shape& shape = c.out_shape(i);
      parts.push_back({i, position * in[static_cast<std::size_t>(axis)],
                       StridedCopy(box(shape, in, layout_strides(shape, c.out_layout(i))),
                                   c.dtype(0), c.isa())});
    }
    position += sizes[static_cast<std::size_t>(i)];
  }
  Step step;
  step.algorithm = parts.empty() ? "nothing" : parts[0].copy.algorithm();
  step.run = [parts = std::move(parts)](const RunContext& run) {
    for (const Part& part : parts) {
      part.copy.run(run.inputs[0], part.offset, run.outputs[static_cast<std::size_t>(part.output)],
                    0, run.threads);
    }
  };
  return step;
}

constexpr AttrDef kConcatAttrs[] = {{.name = "axis",
                                     .type = AttrType::kInt,
                                     .doc = "dimension along which the inputs are joined",
                                     .required = true}};
constexpr AttrDef kSplitAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "dimension that is cut"},
    {.name = "num_outputs",
     .type = AttrType::kInt,
     .doc = "number of parts; optional, no default"}};

constexpr OpDef kOps[] = {
    {.name = "Concat",
     .doc = "The inputs joined along an axis.",
     .min_inputs = 1,
     .max_inputs = -1,
     .attributes = kConcatAttrs,
     .infer = infer_concat,
     .lower = lower_concat,
     .layout = LayoutRule::kFollow,
     .pitched = [](const Node&) { return Pitched{.inputs = ~0u, .output = true}; },
     .any_float = true,
     .flops = no_flops},
    {.name = "Split",
     .doc = "The input cut into parts along an axis.",
     .min_inputs = 1,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = -1,
     .attributes = kSplitAttrs,
     .infer = infer_split,
     .lower = lower_split,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable concat_ops;
const OpTable concat_ops = {kOps};

}  // namespace lanewise
