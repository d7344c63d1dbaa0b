// Softmax, LogSoftmax and Hardmax along an axis, or, as before opset 13, over all dimensions from
// an axis on (attribute flatten_2d, which only the importer sets).
#include "engine/ops/softmax.h"

#include <algorithm>
#include <cmath>

#include "engine/graph/layout.h"
#include "engine/kernels/reduce/reduce.h"
#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

// Before opset 13 the axis may equal the rank.
int axis_of(const OpContext& c) {
  const int rank = c.shape(0).rank();
  if (c.attr_int("flatten_2d") != 0 && c.attr_int("axis") == rank) return rank;
  return c.attr_axis(rank);
}

void infer_softmax(InferContext& c) {
  expect_types(c, 0, kFloats);
  if (c.shape(0).rank() > 0) (void)axis_of(c);
  infer_same(c);
}

}  // namespace

SoftmaxGroups softmax_groups(const LowerContext& c) {
  const Shape& shape = c.shape(0);
  const int rank = shape.rank();
  if (rank == 0) return {};
  const int axis = axis_of(c);
  const bool flatten = c.attr_int("flatten_2d") != 0;
  const bool channels_last = c.layout(0) == Layout::kChannelsLast && rank >= 3;
  const Shape memory = physical(shape, c.layout(0));
  if (flatten && (!channels_last || axis < 2)) {
    // The coerced dimensions are a suffix of memory in either layout.
    return {shape.elements(0, axis), shape.elements(axis, rank), 1};
  }
  const int place = axis == rank ? rank - 1 : physical_axis(axis, rank, c.layout(0));
  if (flatten) {  // spatial dimensions from the axis on, with the channels inside
    return {memory.elements(0, place), axis == rank ? 1 : memory.elements(place, rank - 1),
            memory[rank - 1]};
  }
  return {memory.elements(0, place), memory[place], memory.elements(place + 1, rank)};
}

namespace {

template <bool logarithm>
void softmax_group(const double* x, double* y, std::int64_t n, std::int64_t stride) {
  double most = -std::numeric_limits<double>::infinity(), sum = 0.0;
  for (std::int64_t k = 0; k < n; ++k) {
    const double v = x[k * stride];
    most = most > v || most != most ? most : v;
  }
  for (std::int64_t k = 0; k < n; ++k) {
    const double shifted = x[k * stride] - most;
    sum += std::exp(shifted);
    y[k * stride] = logarithm ? shifted : std::exp(shifted);
  }
  const double shift = std::log(sum);
  for (std::int64_t k = 0; k < n; ++k)
    y[k * stride] = logarithm ? y[k * stride] - shift : y[k * stride] / sum;
}

// 1 at the first greatest element, 0 elsewhere.
template <class T>
void hardmax_group(const T* x, T* y, std::int64_t n, std::int64_t stride) {
  std::int64_t best = 0;
  for (std::int64_t k = 1; k < n; ++k) {
    if (x[k * stride] > x[best * stride]) best = k;
  }
  for (std::int64_t k = 0; k < n; ++k) y[k * stride] = k == best ? T{1} : T{0};
}

template <class T>
Step each_group(const SoftmaxGroups& g, void (*f)(const T*, T*, std::int64_t, std::int64_t)) {
  Step step;
  step.run = [g, f](const RunContext& run) {
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, g.n));
    parallel_for(run.threads, g.outer * g.inner, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t at = i / g.inner * g.n * g.inner + i % g.inner;
        f(run.in<T>(0) + at, run.out<T>(0) + at, g.n, g.inner);
      }
    });
  };
  return step;
}

template <bool logarithm>
Step lower_softmax(LowerContext& c) {
  const SoftmaxGroups g = softmax_groups(c);
  if (c.dtype(0) != DType::kFloat32) return each_group<double>(g, softmax_group<logarithm>);
  const kernels::Softmax& row = kernels::softmax(c.isa());
  const kernels::SoftmaxRun kernel = logarithm ? row.log_softmax : row.softmax;
  Step step;
  step.run = [g, kernel](const RunContext& run) {
    const std::int64_t block = g.n * g.inner;
    const std::int64_t grain =
        std::max<std::int64_t>(1, kGrain / 4 / std::max<std::int64_t>(1, block));
    parallel_for(run.threads, g.outer, grain, [&](std::int64_t begin, std::int64_t end) {
      kernel(run.in<float>(0) + begin * block, run.out<float>(0) + begin * block, end - begin, g.n,
             g.inner);
    });
  };
  step.algorithm = g.inner == 1 ? "rows" : "columns";
  return step;
}

Step lower_hardmax(LowerContext& c) {
  const SoftmaxGroups g = softmax_groups(c);
  if (c.dtype(0) == DType::kFloat32) return each_group<float>(g, hardmax_group<float>);
  return each_group<double>(g, hardmax_group<double>);
}

double softmax_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 4.0 * static_cast<double>(c.shape(0).elements());  // subtract, exponentiate, add, scale
}

constexpr AttrDef kAttrs[] = {
    {.name = "axis",
     .type = AttrType::kInt,
     .doc = "the dimension whose elements sum to 1",
     .int_default = -1},
    {.name = "flatten_2d",
     .type = AttrType::kInt,
     .doc = "1: all dimensions from the axis on count as one (opsets below 13)"}};

constexpr OpDef softmax_op(std::string_view name, std::string_view doc,
                           Step (*lower)(LowerContext&), std::uint32_t inplace) {
  return {.name = name,
          .doc = doc,
          .attributes = kAttrs,
          .infer = infer_softmax,
          .lower = lower,
          .layout = LayoutRule::kFollow,
          .inplace = inplace,
          .flops = softmax_flops};
}

constexpr OpDef kOps[] = {
    softmax_op("Softmax", "exp(x) / sum(exp(x)).", lower_softmax<false>, 1),
    softmax_op("LogSoftmax", "x - log(sum(exp(x))).", lower_softmax<true>, 1),
    softmax_op("Hardmax", "1 at the first greatest element, else 0.", lower_hardmax, 1),
};

}  // namespace

extern const OpTable softmax_ops;
const OpTable softmax_ops = {kOps};

}  // namespace lanewise
