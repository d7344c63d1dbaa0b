// Gather: slices of a tensor picked by indices along one axis.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/indices.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_gather(InferContext& c) {
  c.expect_dtype(1, {DType::kInt32, DType::kInt64});
  const Shape& data = c.shape(0);
  if (data.rank() == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  const int axis = c.attr_axis(data.rank());
  Shape out;
  for (int i = 0; i < axis; ++i) out.push_back(data[i]);
  for (std::int64_t dim : c.shape(1)) out.push_back(dim);
  for (int i = axis + 1; i < data.rank(); ++i) out.push_back(data[i]);
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

struct GatherPlan {
  std::int64_t outer, size, inner, count;  // data is [outer, size, inner]
};

template <class T>
void gather_slices(const GatherPlan& plan, const T* data, const std::int64_t* at, T* out,
                   std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const T* from = data + (i / plan.count * plan.size + at[i % plan.count]) * plan.inner;
    if (plan.inner == 1) {
      out[i] = *from;
    } else {
      std::copy_n(from, plan.inner, out + i * plan.inner);
    }
  }
}

Step lower_gather(LowerContext& c) {
  const Shape& data = c.shape(0);
  const int axis = c.attr_axis(data.rank());
  const GatherPlan plan{data.elements(0, axis), data[axis], data.elements(axis + 1, data.rank()),
                        c.shape(1).elements()};
  Step step;
  step.algorithm = "gather";
  step.scratch_bytes = static_cast<std::size_t>(plan.count) * sizeof(std::int64_t);
  step.run = [plan, where = c.where(), dtype = c.dtype(0),
              index = c.dtype(1)](const RunContext& run) {
    auto* at = reinterpret_cast<std::int64_t*>(run.scratch);
    read_indices(run.inputs[1], index, plan.count, plan.size, 1, where, at);
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      constexpr std::int64_t kGrain = (64 << 10) / sizeof(T);
      parallel_for(run.threads, plan.outer * plan.count,
                   kGrain / std::max<std::int64_t>(1, plan.inner) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     gather_slices(plan, run.in<T>(0), at, run.out<T>(0), begin, end);
                   });
    });
  };
  return step;
}

constexpr AttrDef kGatherAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "dimension that the indices are of"}};

constexpr OpDef kOps[] = {
    {.name = "Gather",
     .doc = "Slices of the input, by indices along an axis.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kGatherAttrs,
     .infer = infer_gather,
     .lower = lower_gather,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable gather_ops;
const OpTable gather_ops = {kOps};

}  // namespace lanewise
