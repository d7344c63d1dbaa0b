// Operators that give the same bytes another shape: Reshape, Flatten, Squeeze, Unsqueeze,
// Identity. None of them runs a step.
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_reshape(InferContext& c) {
  const std::vector<std::int64_t> wanted = c.need_ints(1);
  const bool allow_zero = c.attr_int("allowzero") != 0;
  const Shape& in = c.shape(0);
  std::vector<std::int64_t> dims = wanted;
  int inferred = -1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && !allow_zero) {
      if (static_cast<int>(i) >= in.rank()) {
        c.fail("shape " + Shape(wanted).str() + " copies dimension " + std::to_string(i) +
               " of an input of shape " + in.str());
      }
      dims[i] = in[static_cast<int>(i)];
    } else if (dims[i] == -1) {
      if (inferred >= 0) c.fail("shape has more than one -1");
      inferred = static_cast<int>(i);
      dims[i] = 1;
    } else if (dims[i] < 0) {
      c.fail("shape has the negative dimension " + std::to_string(dims[i]));
    }
  }
  const std::int64_t rest = Shape(dims).elements();
  if (inferred >= 0) {
    dims[static_cast<std::size_t>(inferred)] = rest == 0 ? 0 : in.elements() / rest;
  }
  if (Shape(dims).elements() != in.elements()) {
    c.fail("input of shape " + in.str() + " does not fit the shape asked for, " +
           Shape(wanted).str() + "; the numbers of elements differ");
  }
  c.set_output(0, c.dtype(0), Shape(std::move(dims)));
}

void infer_flatten(InferContext& c) {
  const Shape& in = c.shape(0);
  const std::int64_t axis = c.attr_int("axis");
  if (axis < -in.rank() || axis > in.rank()) {
    c.fail("attribute 'axis' is " + std::to_string(axis) + ", expected " +
           std::to_string(-in.rank()) + " to " + std::to_string(in.rank()) +
           " for an input of shape " + in.str());
  }
  const int split = static_cast<int>(axis < 0 ? axis + in.rank() : axis);
  c.set_output(0, c.dtype(0), Shape{in.elements(0, split), in.elements(split, in.rank())});
}

// The axes of input 1 as flags over `rank` dimensions; duplicates and values outside fail.
std::vector<bool> axis_flags(const InferContext& c, int rank) {
  std::vector<bool> flags(static_cast<std::size_t>(rank));
  for (std::int64_t axis : c.need_ints(1)) {
    const auto normal = normalize_axis(axis, rank);
    if (!normal || flags[static_cast<std::size_t>(*normal)]) {
      c.fail("axis " + std::to_string(axis) + " is outside or repeated for rank " +
             std::to_string(rank));
    }
    flags[static_cast<std::size_t>(*normal)] = true;
  }
  return flags;
}

void infer_squeeze(InferContext& c) {
  const Shape& in = c.shape(0);
  Shape out;
  const bool all = !c.has_input(1);
  const std::vector<bool> drop = all ? std::vector<bool>() : axis_flags(c, in.rank());
  for (int i = 0; i < in.rank(); ++i) {
    const bool dropped = all ? in[i] == 1 : drop[static_cast<std::size_t>(i)];
    if (dropped && in[i] != 1) {
      c.fail("cannot squeeze dimension " + std::to_string(i) + " of shape " + in.str() +
             ": it is not 1");
    }
    if (!dropped) out.push_back(in[i]);
  }
  c.set_output(0, c.dtype(0), out);
}

void infer_unsqueeze(InferContext& c) {
  const Shape& in = c.shape(0);
  const int rank = in.rank() + static_cast<int>(c.need_ints(1).size());
  const std::vector<bool> added = axis_flags(c, rank);
  Shape out;
  int next = 0;
  for (int i = 0; i < rank; ++i) out.push_back(added[static_cast<std::size_t>(i)] ? 1 : in[next++]);
  c.set_output(0, c.dtype(0), out);
}

void infer_identity(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

constexpr AttrDef kReshapeAttrs[] = {
    {.name = "allowzero", .type = AttrType::kInt, .doc = "0 in the shape means zero, not a copy"}};
constexpr AttrDef kFlattenAttrs[] = {{.name = "axis",
                                      .type = AttrType::kInt,
                                      .doc = "first dimension of the second factor",
                                      .int_default = 1}};

constexpr OpDef kOps[] = {
    {.name = "Reshape",
     .doc = "The same elements in another shape.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kReshapeAttrs,
     .infer = infer_reshape,
     .view = true,
     .any_float = true},
    {.name = "Flatten",
     .doc = "A matrix of the dimensions before and after an axis.",
     .attributes = kFlattenAttrs,
     .infer = infer_flatten,
     .view = true,
     .any_float = true},
    {.name = "Squeeze",
     .doc = "Drops dimensions of size one.",
     .max_inputs = 2,
     .infer = infer_squeeze,
     .view = true,
     .any_float = true},
    {.name = "Unsqueeze",
     .doc = "Inserts dimensions of size one.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_unsqueeze,
     .view = true,
     .any_float = true},
    {.name = "Identity",
     .doc = "Its input.",
     .infer = infer_identity,
     .layout = LayoutRule::kFollow,
     .view = true,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable reshape_ops;
const OpTable reshape_ops = {kOps};

}  // namespace lanewise
