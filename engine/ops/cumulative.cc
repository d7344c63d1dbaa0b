// Running sums and products along an axis.
#include <algorithm>

#include "engine/base/error.h"
#include "engine/ops/binary_functions.h"
#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

int axis_in(const std::string& node, const Shape& shape, std::int64_t axis) {
  const auto normal = normalize_axis(axis, shape.rank());
  if (normal) return *normal;
  throw ModelError(node + "axis is " + std::to_string(axis) +
                   ", expected a dimension of the input of shape " + shape.str());
}

std::string prefix(const OpContext& c) {
  return "node '" + c.node().name + "' (" + std::string(c.node().op->name) + "): ";
}

void infer_cumulative(InferContext& c) {
  expect_types(c, 0, kNumbers);
  c.expect_dtype(1, {DType::kInt32, DType::kInt64});
  if (c.shape(0).rank() == 0) c.fail("input must have at least one dimension, found a scalar");
  if (c.shape(1).elements() != 1)
    c.fail("axis must be one number, found shape " + c.shape(1).str());
  if (const Tensor* axis = c.content(1))
    (void)axis_in(prefix(c), c.shape(0), axis->int_values()[0]);
  infer_same(c);
}

// All groups of one index outside the axis, in the order of memory: rows of `inner` elements.
template <class T, class F, int first>
void run_outer(const void* in, void* out, std::int64_t o, std::int64_t n, std::int64_t inner,
               bool exclusive, bool reverse) {
  const T start = static_cast<T>(first);
  const T* x = static_cast<const T*>(in) + o * n * inner;
  T* y = static_cast<T*>(out) + o * n * inner;
  const F f;
  for (std::int64_t step = 0; step < n; ++step) {
    const std::int64_t at = (reverse ? n - 1 - step : step) * inner;
    const std::int64_t before = reverse ? at + inner : at - inner;
    for (std::int64_t i = 0; i < inner; ++i) {
      const T previous = step == 0 ? start : y[before + i];
      if (exclusive)
        y[at + i] = step == 0 ? start : f(previous, x[before + i]);
      else
        y[at + i] = step == 0 ? x[at + i] : f(previous, x[at + i]);
    }
  }
}

template <class F, int start>
Step lower_cumulative(LowerContext& c) {
  const bool exclusive = c.attr_int("exclusive") != 0, reverse = c.attr_int("reverse") != 0;
  const bool wide_axis = c.dtype(1) == DType::kInt64;
  decltype(&run_outer<float, F, start>) f = nullptr;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) { f = run_outer<T, F, start>; });
  Step step;
  step.run = [=, shape = c.shape(0), node = prefix(c)](const RunContext& run) {
    const std::int64_t given = wide_axis ? *run.in<std::int64_t>(1) : *run.in<std::int32_t>(1);
    const int axis = axis_in(node, shape, given);
    const std::int64_t n = shape[axis], inner = shape.elements(axis + 1, shape.rank());
    const std::int64_t grain =
        std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, n * inner));
    parallel_for(run.threads, shape.elements(0, axis), grain,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t o = begin; o < end; ++o) {
                     f(run.in<void>(0), run.out<void>(0), o, n, inner, exclusive, reverse);
                   }
                 });
  };
  step.algorithm = "running";
  return step;
}

constexpr AttrDef kAttrs[] = {
    {.name = "exclusive", .type = AttrType::kInt, .doc = "1: an element does not count itself"},
    {.name = "reverse", .type = AttrType::kInt, .doc = "1: from the end to the start"}};

constexpr OpDef kOps[] = {
    {.name = "CumSum",
     .doc = "Running sum along an axis.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kAttrs,
     .infer = infer_cumulative,
     .lower = lower_cumulative<AddFunction, 0>},
    {.name = "CumProd",
     .doc = "Running product along an axis.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kAttrs,
     .infer = infer_cumulative,
     .lower = lower_cumulative<MulFunction, 1>},
};

}  // namespace

extern const OpTable cumulative_ops;
const OpTable cumulative_ops = {kOps};

}  // namespace lanewise
