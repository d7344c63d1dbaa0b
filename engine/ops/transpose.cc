// Operators that permute the order of elements in memory: Transpose, and the engine's own ToLayout.
#include <memory>
#include <string>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// The permutation, checked; reversed order when the attribute is absent.
std::vector<int> permutation(const OpContext& c) {
  const int rank = c.shape(0).rank();
  const std::vector<std::int64_t> given = c.attr_ints("perm");
  std::vector<int> result;
  if (given.empty() && !c.has_attr("perm")) {
    for (int i = rank; i-- > 0;) result.push_back(i);
    return result;
  }
  std::vector<bool> seen(static_cast<std::size_t>(rank));
  for (std::int64_t axis : given) {
    const auto normal = normalize_axis(axis, rank);
    if (normal && !seen[static_cast<std::size_t>(*normal)]) {
      seen[static_cast<std::size_t>(*normal)] = true;
      result.push_back(*normal);
    }
  }
  if (static_cast<int>(result.size()) != rank || static_cast<int>(given.size()) != rank) {
    c.fail("attribute 'perm' is " + Shape(given).str() + ", expected each of the " +
           std::to_string(rank) + " axes of the input " + c.shape(0).str() + " once");
  }
  return result;
}

void infer_transpose(InferContext& c) {
  Shape out;
  for (int axis : permutation(c)) out.push_back(c.shape(0)[axis]);
  c.set_output(0, c.dtype(0), out);
}

// Copies input 0, its axes in the order of `perm`, to output 0; both in the layouts planned.
Step permuted_copy(LowerContext& c, const std::vector<int>& perm) {
  const std::vector<std::int64_t> in = layout_strides(c.shape(0), c.layout(0));
  const std::vector<std::int64_t> out = layout_strides(c.out_shape(0), c.out_layout(0));
  std::vector<CopyDim> dims;
  for (std::size_t i = 0; i < perm.size(); ++i) {
    dims.push_back(
        {c.out_shape(0)[static_cast<int>(i)], in[static_cast<std::size_t>(perm[i])], out[i]});
  }
  StridedCopy copy(std::move(dims), c.dtype(0), c.isa());
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [copy = std::move(copy)](const RunContext& run) {
    copy.run(run.inputs[0], 0, run.outputs[0], 0, run.threads);
  };
  return step;
}

Step lower_transpose(LowerContext& c) { return permuted_copy(c, permutation(c)); }

void infer_to_layout(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

Step lower_to_layout(LowerContext& c) {
  std::vector<int> identity;
  for (int i = 0; i < c.shape(0).rank(); ++i) identity.push_back(i);
  return permuted_copy(c, identity);
}

constexpr AttrDef kTransposeAttrs[] = {
    {.name = "perm",
     .type = AttrType::kInts,
     .doc = "input axis of each output axis; reversed when absent"}};

constexpr OpDef kOps[] = {
    {.name = "Transpose",
     .doc = "The input with its axes permuted.",
     .attributes = kTransposeAttrs,
     .infer = infer_transpose,
     .lower = lower_transpose,
     .any_float = true,
     .flops = no_flops},
    {.domain = "lanewise",
     .name = "ToLayout",
     .doc = "The same values in another memory layout; the planner sets both layouts.",
     .infer = infer_to_layout,
     .lower = lower_to_layout,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable transpose_ops;
const OpTable transpose_ops = {kOps};

}  // namespace lanewise
