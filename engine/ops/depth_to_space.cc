// DepthToSpace and SpaceToDepth: blocks of channels to and from blocks of pixels
// (Shi et al. 2016, sub-pixel convolution).
#include "engine/ops/depth_to_space.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

std::int64_t block_size(const OpContext& c) {
  c.expect_rank(0, 4, 4);
  const std::int64_t block = c.attr_int("blocksize");
  if (block < 1 || block > (1 << 15)) {
    c.fail("attribute 'blocksize' is " + std::to_string(block) + ", expected 1 to 32768");
  }
  return block;
}

}  // namespace

bool columns_first(const OpContext& c) {
  const std::string_view mode = c.attr_string("mode");
  if (mode != "DCR" && mode != "CRD" && !mode.empty()) {
    c.fail("attribute 'mode' is '" + std::string(mode) + "', expected DCR or CRD");
  }
  return mode == "CRD";
}

namespace {

void infer_depth_to_space(InferContext& c) {
  const std::int64_t block = block_size(c);
  static_cast<void>(columns_first(c));
  const Shape& in = c.shape(0);
  if (in[1] % (block * block) != 0) {
    c.fail("the channels of input " + in.str() +
           " are no multiple of blocksize^2 = " + std::to_string(block * block));
  }
  c.set_output(0, c.dtype(0),
               Shape{in[0], in[1] / (block * block), checked_multiply(in[2], block),
                     checked_multiply(in[3], block)});
}

void infer_space_to_depth(InferContext& c) {
  const std::int64_t block = block_size(c);
  const Shape& in = c.shape(0);
  if (in[2] % block != 0 || in[3] % block != 0) {
    c.fail("height and width of input " + in.str() + " must be multiples of blocksize " +
           std::to_string(block));
  }
  c.set_output(0, c.dtype(0),
               Shape{in[0], checked_multiply(in[1], block * block), in[2] / block, in[3] / block});
}

}  // namespace

BlockStrides block_strides(const Shape& deep, Layout deep_layout, const Shape& wide,
                           Layout wide_layout, std::int64_t block, bool crd) {
  const std::vector<std::int64_t> d = layout_strides(deep, deep_layout);
  const std::vector<std::int64_t> w = layout_strides(wide, wide_layout);
  const std::int64_t depth = wide[1];
  BlockStrides result;
  result.shape = Shape{wide[0], block, block, depth, deep[2], deep[3]};
  if (crd) {
    result.deep = {d[0], block * d[1], d[1], block * block * d[1], d[2], d[3]};
  } else {
    result.deep = {d[0], block * depth * d[1], depth * d[1], d[1], d[2], d[3]};
  }
  result.wide = {w[0], w[2], w[3], w[1], block * w[2], block * w[3]};
  return result;
}

namespace {

Step copy_step(LowerContext& c, const Shape& shape, const std::vector<std::int64_t>& in,
               const std::vector<std::int64_t>& out) {
  StridedCopy copy(box(shape, in, out), c.dtype(0), c.isa());
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [copy = std::move(copy)](const RunContext& run) {
    copy.run(run.inputs[0], 0, run.outputs[0], 0, run.threads);
  };
  return step;
}

Step lower_depth_to_space(LowerContext& c) {
  const BlockStrides s = block_strides(c.shape(0), c.layout(0), c.out_shape(0), c.out_layout(0),
                                       c.attr_int("blocksize"), columns_first(c));
  return copy_step(c, s.shape, s.deep, s.wide);
}

Step lower_space_to_depth(LowerContext& c) {
  const BlockStrides s = block_strides(c.out_shape(0), c.out_layout(0), c.shape(0), c.layout(0),
                                       c.attr_int("blocksize"), columns_first(c));
  return copy_step(c, s.shape, s.wide, s.deep);
}

constexpr AttrDef kAttrs[] = {
    {.name = "blocksize",
     .type = AttrType::kInt,
     .doc = "pixels of a block along each side",
     .required = true},
    {.name = "mode",
     .type = AttrType::kString,
     .doc = "DCR: channels are [block, block, depth]; CRD: [depth, block, block]",
     .string_default = "DCR"}};

constexpr OpDef kOps[] = {
    {.name = "DepthToSpace",
     .doc = "Blocks of channels moved to blocks of pixels (Shi et al. 2016).",
     .attributes = kAttrs,
     .infer = infer_depth_to_space,
     .lower = lower_depth_to_space,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
    {.name = "SpaceToDepth",
     .doc = "Blocks of pixels moved to blocks of channels.",
     .attributes = kAttrs,
     .infer = infer_space_to_depth,
     .lower = lower_space_to_depth,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable depth_to_space_ops;
const OpTable depth_to_space_ops = {kOps};

}  // namespace lanewise
