// com.microsoft: QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax, as the
// documents of ONNX Runtime's contributed operators define them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/ops/eltwise.h"
#include "engine/ops/qlinear.h"

namespace lanewise {
namespace {

// Inputs: A, its scale, its zero point, B, its scale, its zero point, the result's scale, its zero.
void infer_binary(InferContext& c) {
  expect_operand(c, 0);
  expect_operand(c, 3);
  c.expect_same_dtype(0, 3);
  expect_result(c, 6, c.dtype(0));
  const auto out = broadcast(c.shape(0), c.shape(3));
  if (!out) c.fail("shapes " + c.shape(0).str() + " and " + c.shape(3).str() + " do not broadcast");
  c.set_output(0, c.dtype(0), *out);
}

enum class Binary { kAdd, kMultiply };

template <class T>
void run_binary(const RunContext& run, Binary op, const BroadcastLoop& loop,
                const kernels::Quantize& table) {
  const DType dtype = kDTypeOf<T>;
  const QuantParameter a = parameter(run, 1, dtype), b = parameter(run, 4, dtype),
                       y = parameter(run, 6, dtype);
  kernels::QuantBinary p;
  p.a_scale = op == Binary::kAdd ? a.scale / y.scale : a.scale * b.scale / y.scale;
  p.b_scale = b.scale / y.scale;
  p.a_zero = a.zero;
  p.b_zero = b.zero;
  p.zero = y.zero;
  const auto& rows = quant_rows<T>(table);
  const auto kernel = op == Binary::kAdd ? rows.add : rows.multiply;
  const std::int64_t a_step = loop.col_stride(0), b_step = loop.col_stride(1);
  const bool vector = a_step <= 1 && b_step <= 1;
  p.a_step = vector ? static_cast<int>(a_step) : 1;
  p.b_step = vector ? static_cast<int>(b_step) : 1;
  parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
    loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
      for (std::int64_t row = 0; row < block.rows; ++row) {
        const T* left = run.in<T>(0) + block.in[0] + row * loop.row_stride(0);
        const T* right = run.in<T>(3) + block.in[1] + row * loop.row_stride(1);
        T* to = run.out<T>(0) + block.out + row * block.cols;
        if (vector) {
          kernel(block.cols, left, right, p, to);
          continue;
        }
        for (std::int64_t i = 0; i < block.cols; ++i)
          kernel(1, left + i * a_step, right + i * b_step, p, to + i);
      }
    });
  });
}

template <Binary op>
Step lower_binary(LowerContext& c) {
  Step step;
  step.algorithm = "rows";
  step.run = [loop = broadcast_loop(c, {0, 3}), dtype = c.dtype(0),
              &table = kernels::quantize(c.isa())](const RunContext& run) {
    visit_byte(dtype, [&]<class T>(std::type_identity<T>) { run_binary<T>(run, op, loop, table); });
  };
  return step;
}

// Inputs: X, its scale, its zero point, the result's scale, its zero point.
void infer_unary(InferContext& c) {
  expect_operand(c, 0);
  expect_result(c, 3, c.dtype(0));
  c.set_output(0, c.dtype(0), c.shape(0));
}

template <class F>
Step lower_table(LowerContext& c, F f) {
  Step step;
  step.algorithm = "table";
  step.run = [f, n = c.shape(0).elements(), dtype = c.dtype(0)](const RunContext& run) {
    visit_byte(dtype, [&]<class T>(std::type_identity<T>) {
      const ByteTable<T> table =
          byte_table<T>(parameter(run, 1, dtype), parameter(run, 3, dtype), f);
      parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
        apply_table(table, run.in<T>(0) + begin, end - begin, run.out<T>(0) + begin);
      });
    });
  };
  return step;
}

Step lower_sigmoid(LowerContext& c) {
  return lower_table(c, [](float v) { return 1.0f / (1.0f + std::exp(-v)); });
}

Step lower_leaky_relu(LowerContext& c) {
  return lower_table(c,
                     [alpha = c.attr_float("alpha")](float v) { return v < 0.0f ? alpha * v : v; });
}

// The dimensions that sum to one, as a run of `size` elements `stride` apart.
struct SoftmaxRows {
  std::int64_t rows = 1, size = 1, stride = 1;
};

SoftmaxRows softmax_rows(const OpContext& c) {
  const Shape& x = c.shape(0);
  const int rank = x.rank();
  if (rank == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  const int axis = c.attr_axis(rank);
  SoftmaxRows r;
  // Before opset 13 the dimensions from the axis on are one.
  const int last = c.attr_int("opset") < 13 ? rank : axis + 1;
  r.size = x.elements(axis, last);
  r.stride = x.elements(last, rank);
  r.rows = x.elements(0, axis) * r.stride;
  return r;
}

void infer_softmax(InferContext& c) {
  infer_unary(c);
  (void)softmax_rows(c);
}

template <class T>
void softmax(const SoftmaxRows& r, std::int64_t row, const float (&exponentials)[256],
             QuantParameter y, const T* x, T* out) {
  const std::int64_t first = row / r.stride * r.size * r.stride + row % r.stride;
  int most = std::numeric_limits<T>::min();
  for (std::int64_t i = 0; i < r.size; ++i) most = std::max<int>(most, x[first + i * r.stride]);
  double sum = 0.0;
  for (std::int64_t i = 0; i < r.size; ++i)
    sum += static_cast<double>(exponentials[most - x[first + i * r.stride]]);
  const float factor = static_cast<float>(1.0 / sum);
  for (std::int64_t i = 0; i < r.size; ++i) {
    const std::int64_t at = first + i * r.stride;
    out[at] = quantized<T>(exponentials[most - x[at]] * factor, y);
  }
}

Step lower_softmax(LowerContext& c) {
  Step step;
  step.algorithm = "table";
  step.run = [r = softmax_rows(c), dtype = c.dtype(0)](const RunContext& run) {
    if (r.size == 0) return;
    float exponentials[256];  // of -d * scale, where d is the distance from the largest element
    const float scale = *run.in<float>(1);
    for (int d = 0; d < 256; ++d) exponentials[d] = std::exp(-scale * static_cast<float>(d));
    visit_byte(dtype, [&]<class T>(std::type_identity<T>) {
      const QuantParameter y = parameter(run, 3, dtype);
      const std::int64_t grain = kGrain / std::max<std::int64_t>(1, r.size) + 1;
      parallel_for(run.threads, r.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          softmax<T>(r, row, exponentials, y, run.in<T>(0), run.out<T>(0));
        }
      });
    });
  };
  return step;
}

constexpr AttrDef kLeakyAttrs[] = {
    {.name = "alpha", .type = AttrType::kFloat, .doc = "slope below zero", .float_default = 0.01f}};
constexpr AttrDef kSoftmaxAttrs[] = {{.name = "axis",
                                      .type = AttrType::kInt,
                                      .doc = "dimension that sums to one",
                                      .int_default = -1},
                                     {.name = "opset",
                                      .type = AttrType::kInt,
                                      .doc = "below 13, the dimensions from the axis on are one",
                                      .required = true}};

constexpr std::string_view kDomain = "com.microsoft";
constexpr OpDef kOps[] = {
    {.domain = kDomain,
     .name = "QLinearAdd",
     .doc = "The sum of quantised values, quantised.",
     .min_inputs = 7,
     .max_inputs = 8,
     .infer = infer_binary,
     .lower = lower_binary<Binary::kAdd>,
     .layout = LayoutRule::kFollow},
    {.domain = kDomain,
     .name = "QLinearMul",
     .doc = "The product of quantised values, quantised.",
     .min_inputs = 7,
     .max_inputs = 8,
     .infer = infer_binary,
     .lower = lower_binary<Binary::kMultiply>,
     .layout = LayoutRule::kFollow},
    {.domain = kDomain,
     .name = "QLinearSigmoid",
     .doc = "The sigmoid of quantised values, quantised.",
     .min_inputs = 4,
     .max_inputs = 5,
     .infer = infer_unary,
     .lower = lower_sigmoid,
     .layout = LayoutRule::kFollow,
     .inplace = 1},
    {.domain = kDomain,
     .name = "QLinearLeakyRelu",
     .doc = "LeakyRelu of quantised values, quantised.",
     .min_inputs = 4,
     .max_inputs = 5,
     .attributes = kLeakyAttrs,
     .infer = infer_unary,
     .lower = lower_leaky_relu,
     .layout = LayoutRule::kFollow,
     .inplace = 1},
    {.domain = kDomain,
     .name = "QLinearSoftmax",
     .doc = "Softmax of quantised values, quantised.",
     .min_inputs = 4,
     .max_inputs = 5,
     .attributes = kSoftmaxAttrs,
     .infer = infer_softmax,
     .lower = lower_softmax},
};

}  // namespace

extern const OpTable qlinear_eltwise_ops;
const OpTable qlinear_eltwise_ops = {kOps};

}  // namespace lanewise
