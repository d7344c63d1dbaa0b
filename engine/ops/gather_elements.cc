// GatherElements and ScatterElements (and Scatter, its older name): one index per element, along
// one axis.
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

// Rows of the index tensor along its last dimension, and where they lie in the data.
struct ElementPlan {
  Shape indices;
  std::vector<std::int64_t> strides;  // of the data, 0 for the axis
  std::int64_t axis_stride = 1, size = 1;
  std::int64_t rows = 0, columns = 1;

  std::int64_t row_offset(std::int64_t row) const {
    std::int64_t offset = 0;
    for (int i = indices.rank() - 1; i-- > 0;) {
      offset += row % indices[i] * strides[static_cast<std::size_t>(i)];
      row /= indices[i];
    }
    return offset;
  }
};

void check_elements(const InferContext& c) {
  c.expect_dtype(1, {DType::kInt32, DType::kInt64});
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  if (data.rank() == 0 || indices.rank() != data.rank()) {
    c.fail("'indices' must have the rank (1 or more) of 'data', found shapes " + indices.str() +
           " and " + data.str());
  }
  const int axis = c.attr_axis(data.rank());
  for (int i = 0; i < data.rank(); ++i) {
    if (i != axis && indices[i] > data[i]) {
      c.fail("dimension " + std::to_string(i) + " of 'indices' " + indices.str() +
             " is larger than that of 'data' " + data.str());
    }
  }
}

ElementPlan plan_elements(const LowerContext& c) {
  const Shape& data = c.shape(0);
  const int axis = c.attr_axis(data.rank());
  ElementPlan plan;
  plan.indices = c.shape(1);
  plan.strides = data.strides();
  plan.axis_stride = plan.strides[static_cast<std::size_t>(axis)];
  plan.strides[static_cast<std::size_t>(axis)] = 0;
  plan.size = data[axis];
  plan.columns = plan.indices[data.rank() - 1];
  plan.rows = plan.columns == 0 ? 0 : plan.indices.elements() / plan.columns;
  return plan;
}

void infer_gather_elements(InferContext& c) {
  check_elements(c);
  c.set_output(0, c.dtype(0), c.shape(1));
}

Step lower_gather_elements(LowerContext& c) {
  const ElementPlan plan = plan_elements(c);
  Step step;
  step.algorithm = "gather";
  step.scratch_bytes = static_cast<std::size_t>(plan.rows * plan.columns) * sizeof(std::int64_t);
  step.run = [plan, where = c.where(), dtype = c.dtype(0),
              index = c.dtype(1)](const RunContext& run) {
    auto* at = reinterpret_cast<std::int64_t*>(run.scratch);
    read_indices(run.inputs[1], index, plan.rows * plan.columns, plan.size, plan.axis_stride, where,
                 at);
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      const std::int64_t step_in = plan.strides.back();
      parallel_for(run.threads, plan.rows, 16384 / std::max<std::int64_t>(1, plan.columns) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const T* data = run.in<T>(0) + plan.row_offset(row);
                       const std::int64_t* row_at = at + row * plan.columns;
                       T* out = run.out<T>(0) + row * plan.columns;
                       for (std::int64_t i = 0; i < plan.columns; ++i) {
                         out[i] = data[row_at[i] + i * step_in];
                       }
                     }
                   });
    });
  };
  return step;
}

void infer_scatter_elements(InferContext& c) {
  check_elements(c);
  c.expect_same_dtype(0, 2);
  if (c.shape(2) != c.shape(1)) {
    c.fail("'updates' must have the shape of 'indices', found " + c.shape(2).str() + " and " +
           c.shape(1).str());
  }
  static_cast<void>(scatter_reduction(c));
  c.set_output(0, c.dtype(0), c.shape(0));
}

template <class T>
void scatter_rows(const ElementPlan& plan, Reduction reduction, const std::int64_t* at,
                  const T* updates, T* out) {
  const std::int64_t step_out = plan.strides.back();
  for (std::int64_t row = 0; row < plan.rows; ++row) {
    T* target = out + plan.row_offset(row);
    for (std::int64_t i = 0; i < plan.columns; ++i) {
      const std::int64_t k = row * plan.columns + i;
      T& element = target[at[k] + i * step_out];
      if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, Bytes16>) {
        element = updates[k];
      } else {
        element =
            reduction == Reduction::kNone ? updates[k] : reduced(reduction, element, updates[k]);
      }
    }
  }
}

Step lower_scatter_elements(LowerContext& c) {
  const ElementPlan plan = plan_elements(c);
  const Reduction reduction = scatter_reduction(c);
  const std::int64_t elements = c.shape(0).elements();
  Step step;
  step.algorithm = "scatter";
  step.scratch_bytes = static_cast<std::size_t>(plan.rows * plan.columns) * sizeof(std::int64_t);
  step.run = [=, where = c.where(), dtype = c.dtype(0), index = c.dtype(1)](const RunContext& run) {
    auto* at = reinterpret_cast<std::int64_t*>(run.scratch);
    read_indices(run.inputs[1], index, plan.rows * plan.columns, plan.size, plan.axis_stride, where,
                 at);
    const auto scatter = [&](auto type) {
      using T = typename decltype(type)::type;
      if (run.in<T>(0) != run.out<T>(0)) std::copy_n(run.in<T>(0), elements, run.out<T>(0));
      scatter_rows(plan, reduction, at, run.in<T>(2), run.out<T>(0));
    };
    if (reduction == Reduction::kNone) {
      visit_element(dtype, scatter);
    } else {
      visit_scalar(dtype, scatter);
    }
  };
  return step;
}

constexpr AttrDef kGatherAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "dimension that the indices are of"}};
constexpr AttrDef kScatterAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "dimension that the indices are of"},
    {.name = "reduction",
     .type = AttrType::kString,
     .doc = "none, add, mul, max or min",
     .string_default = "none"}};

constexpr OpDef scatter(std::string_view name, std::string_view doc) {
  return {.name = name,
          .doc = doc,
          .min_inputs = 3,
          .max_inputs = 3,
          .attributes = kScatterAttrs,
          .infer = infer_scatter_elements,
          .lower = lower_scatter_elements,
          .inplace = 1,
          .any_float = true,
          .flops = no_flops};
}

constexpr OpDef kOps[] = {
    {.name = "GatherElements",
     .doc = "An element of the input for each index along an axis.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kGatherAttrs,
     .infer = infer_gather_elements,
     .lower = lower_gather_elements,
     .any_float = true,
     .flops = no_flops},
    scatter("ScatterElements",
            "The input with updates written, or reduced, at indices along an axis."),
    scatter("Scatter", "The older name of ScatterElements."),
};

}  // namespace

extern const OpTable gather_elements_ops;
const OpTable gather_elements_ops = {kOps};

}  // namespace lanewise
