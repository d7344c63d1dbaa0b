// Expand and Tile: the input repeated, by copies that read with a stride of zero.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

Step copy_step(LowerContext& c, std::vector<CopyDim> dims) {
  StridedCopy copy(std::move(dims), c.dtype(0), c.isa());
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [copy = std::move(copy)](const RunContext& run) {
    copy.run(run.inputs[0], 0, run.outputs[0], 0, run.threads);
  };
  return step;
}

void infer_expand(InferContext& c) {
  const Shape wanted(c.need_ints(1));
  for (std::int64_t dim : wanted) {
    if (dim < 0) c.fail("'shape' is " + wanted.str() + ", expected no negative dimension");
  }
  const auto out = broadcast(c.shape(0), wanted);
  if (!out) c.fail("input of shape " + c.shape(0).str() + " does not broadcast to " + wanted.str());
  static_cast<void>(out->elements());
  c.set_output(0, c.dtype(0), *out);
}

Step lower_expand(LowerContext& c) {
  const Shape& in = c.shape(0);
  const Shape& out = c.out_shape(0);
  const std::vector<std::int64_t> dense = layout_strides(in, c.layout(0));
  std::vector<std::int64_t> in_strides(static_cast<std::size_t>(out.rank()), 0);
  for (int i = 0; i < in.rank(); ++i) {
    if (in[i] == 1) continue;
    in_strides[static_cast<std::size_t>(out.rank() - in.rank() + i)] =
        dense[static_cast<std::size_t>(i)];
  }
  return copy_step(c, box(out, in_strides, layout_strides(out, c.out_layout(0))));
}

void infer_tile(InferContext& c) {
  Shape out = c.shape(0);
  const std::vector<std::int64_t> repeats = c.need_ints(1);
  if (static_cast<int>(repeats.size()) != out.rank()) {
    c.fail("'repeats' is " + Shape(repeats).str() + ", expected one number for each dimension of " +
           out.str());
  }
  for (int i = 0; i < out.rank(); ++i) {
    const std::int64_t repeat = repeats[static_cast<std::size_t>(i)];
    if (repeat < 0) {
      c.fail("'repeats' is " + Shape(repeats).str() + ", expected no negative number");
    }
    out[i] = checked_multiply(out[i], repeat);
  }
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

Step lower_tile(LowerContext& c) {
  const Shape& in = c.shape(0);
  const std::vector<std::int64_t> in_strides = layout_strides(in, c.layout(0));
  const std::vector<std::int64_t> out_strides = layout_strides(c.out_shape(0), c.out_layout(0));
  std::vector<CopyDim> dims;
  for (int i = 0; i < in.rank(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t repeat = in[i] == 0 ? 0 : c.out_shape(0)[i] / in[i];
    dims.push_back({repeat, 0, in[i] * out_strides[at]});
    dims.push_back({in[i], in_strides[at], out_strides[at]});
  }
  return copy_step(c, std::move(dims));
}

constexpr OpDef kOps[] = {
    {.name = "Expand",
     .doc = "The input broadcast to a shape.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_expand,
     .lower = lower_expand,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
    {.name = "Tile",
     .doc = "The input repeated along each dimension.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_tile,
     .lower = lower_tile,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable expand_ops;
const OpTable expand_ops = {kOps};

}  // namespace lanewise
