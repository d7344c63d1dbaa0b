// GatherND and ScatterND: slices of a tensor addressed by tuples of indices.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/indices.h"
#include "engine/cpu/scatter.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// `tuples` tuples of `depth` indices, each into dimensions [batch, batch + depth) of the data.
struct TuplePlan {
  std::int64_t tuples = 0, depth = 0;
  std::int64_t tuples_per_batch = 1, batch_elements = 0;
  std::int64_t slice = 1;                    // elements of a slice
  std::vector<std::int64_t> sizes, strides;  // of the dimensions indexed
};

int checked_batch(const InferContext& c) {
  c.expect_dtype(1, {DType::kInt64});
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  const std::int64_t batch = c.attr_int("batch_dims");
  if (data.rank() == 0 || indices.rank() == 0) {
    c.fail("'data' and 'indices' must have rank 1 or more");
  }
  if (batch < 0 || batch >= std::min(data.rank(), indices.rank())) {
    c.fail("attribute 'batch_dims' is " + std::to_string(batch) + ", expected 0 to " +
           std::to_string(std::min(data.rank(), indices.rank()) - 1));
  }
  const std::int64_t depth = indices[indices.rank() - 1];
  if (depth < 1 || depth > data.rank() - batch) {
    c.fail("the last dimension of 'indices' " + indices.str() + " must be 1 to " +
           std::to_string(data.rank() - batch) + " for data of shape " + data.str());
  }
  for (int i = 0; i < static_cast<int>(batch); ++i) {
    if (data[i] != indices[i]) {
      c.fail("batch dimensions of 'data' " + data.str() + " and 'indices' " + indices.str() +
             " differ");
    }
  }
  return static_cast<int>(batch);
}

// The shape of one slice per tuple.
Shape slices_shape(const OpContext& c, int batch) {
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  Shape out;
  for (int i = 0; i + 1 < indices.rank(); ++i) out.push_back(indices[i]);
  for (int i = batch + static_cast<int>(indices[indices.rank() - 1]); i < data.rank(); ++i) {
    out.push_back(data[i]);
  }
  return out;
}

TuplePlan plan_tuples(const LowerContext& c, int batch) {
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  const int last = indices.rank() - 1;
  TuplePlan plan;
  plan.depth = indices[last];
  plan.tuples = indices.elements(0, last);
  plan.tuples_per_batch = std::max<std::int64_t>(1, indices.elements(batch, last));
  plan.batch_elements = data.elements(batch, data.rank());
  const std::vector<std::int64_t> strides = data.strides();
  const int end = batch + static_cast<int>(plan.depth);
  for (int i = batch; i < end; ++i) {
    plan.sizes.push_back(data[i]);
    plan.strides.push_back(strides[static_cast<std::size_t>(i)]);
  }
  plan.slice = data.elements(end, data.rank());
  return plan;
}

// The offset of each tuple's slice in the data.
void read_tuples(const TuplePlan& plan, const void* indices, const std::string& where,
                 std::int64_t* at) {
  const auto depth = static_cast<std::size_t>(plan.depth);
  for (std::int64_t tuple = 0; tuple < plan.tuples; ++tuple) {
    at[tuple] = tuple / plan.tuples_per_batch * plan.batch_elements;
    for (std::size_t i = 0; i < depth; ++i) {
      const std::int64_t position = tuple * plan.depth + static_cast<std::int64_t>(i);
      at[tuple] +=
          checked_index(indices, DType::kInt64, position, plan.sizes[i], where) * plan.strides[i];
    }
  }
}

void infer_gather_nd(InferContext& c) {
  const Shape out = slices_shape(c, checked_batch(c));
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

Step lower_gather_nd(LowerContext& c) {
  const TuplePlan plan = plan_tuples(c, static_cast<int>(c.attr_int("batch_dims")));
  Step step;
  step.algorithm = "gather";
  step.scratch_bytes = static_cast<std::size_t>(plan.tuples) * sizeof(std::int64_t);
  step.run = [plan, where = c.where(), dtype = c.dtype(0)](const RunContext& run) {
    auto* at = reinterpret_cast<std::int64_t*>(run.scratch);
    read_tuples(plan, run.inputs[1], where, at);
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      parallel_for(run.threads, plan.tuples, 16384 / std::max<std::int64_t>(1, plan.slice) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       std::copy_n(run.in<T>(0) + at[i], plan.slice,
                                   run.out<T>(0) + i * plan.slice);
                     }
                   });
    });
  };
  return step;
}

void infer_scatter_nd(InferContext& c) {
  const Shape wanted = slices_shape(c, checked_batch(c));
  c.expect_same_dtype(0, 2);
  if (c.shape(2) != wanted) {
    c.fail("'updates' must have shape " + wanted.str() + " for data " + c.shape(0).str() +
           " and indices " + c.shape(1).str() + ", found " + c.shape(2).str());
  }
  static_cast<void>(scatter_reduction(c));
  c.set_output(0, c.dtype(0), c.shape(0));
}

// In the order of the tuples, so that of repeated ones the last write stays.
template <class T>
void scatter_slices(const TuplePlan& plan, Reduction reduction, const std::int64_t* at,
                    const T* updates, T* out) {
  for (std::int64_t tuple = 0; tuple < plan.tuples; ++tuple) {
    const T* from = updates + tuple * plan.slice;
    T* to = out + at[tuple];
    if constexpr (!std::is_same_v<T, std::string> && !std::is_same_v<T, Bytes16>) {
      if (reduction != Reduction::kNone) {
        for (std::int64_t i = 0; i < plan.slice; ++i) to[i] = reduced(reduction, to[i], from[i]);
        continue;
      }
    }
    std::copy_n(from, plan.slice, to);
  }
}

Step lower_scatter_nd(LowerContext& c) {
  const TuplePlan plan = plan_tuples(c, 0);
  const Reduction reduction = scatter_reduction(c);
  const std::int64_t elements = c.shape(0).elements();
  Step step;
  step.algorithm = "scatter";
  step.scratch_bytes = static_cast<std::size_t>(plan.tuples) * sizeof(std::int64_t);
  step.run = [=, where = c.where(), dtype = c.dtype(0)](const RunContext& run) {
    auto* at = reinterpret_cast<std::int64_t*>(run.scratch);
    read_tuples(plan, run.inputs[1], where, at);
    const auto scatter = [&](auto type) {
      using T = typename decltype(type)::type;
      if (run.in<T>(0) != run.out<T>(0)) std::copy_n(run.in<T>(0), elements, run.out<T>(0));
      scatter_slices(plan, reduction, at, run.in<T>(2), run.out<T>(0));
    };
    if (reduction == Reduction::kNone) {
      visit_element(dtype, scatter);
    } else {
      visit_scalar(dtype, scatter);
    }
  };
  return step;
}

constexpr AttrDef kGatherAttrs[] = {{.name = "batch_dims",
                                     .type = AttrType::kInt,
                                     .doc = "leading dimensions shared with the indices"}};
constexpr AttrDef kScatterAttrs[] = {{.name = "reduction",
                                      .type = AttrType::kString,
                                      .doc = "none, add, mul, max or min",
                                      .string_default = "none"}};

constexpr OpDef kOps[] = {
    {.name = "GatherND",
     .doc = "Slices of the input at tuples of indices.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kGatherAttrs,
     .infer = infer_gather_nd,
     .lower = lower_gather_nd,
     .any_float = true,
     .flops = no_flops},
    {.name = "ScatterND",
     .doc = "The input with slices written, or reduced, at tuples of indices.",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kScatterAttrs,
     .infer = infer_scatter_nd,
     .lower = lower_scatter_nd,
     .inplace = 1,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable gather_nd_ops;
const OpTable gather_nd_ops = {kOps};

}  // namespace lanewise
