// Arithmetic of two operands: Add, Sub, Mul, Div, Mod, Pow, PRelu. Comparisons, logic and bits are
// in compare.cc; sums and extremes of many operands in variadic.cc.
#include "engine/ops/binary.h"

namespace lanewise {
namespace {

using kernels::Binary;

Step lower_mod(LowerContext& c) {
  const std::size_t size = dtype_size(c.dtype(0));
  const bool truncated = c.attr_int("fmod") != 0;
  return binary_rows_step(c,
                          truncated ? typed_rows<TruncatedModFunction>(c.dtype(0))
                                    : typed_rows<FlooredModFunction>(c.dtype(0)),
                          {size, size, size});
}

void infer_pow(InferContext& c) {
  expect_types(c, 0, kNumbers);
  expect_types(c, 1, kNumbers);
  const std::optional<Shape> shape = broadcast(c.shape(0), c.shape(1));
  if (!shape) {
    c.fail("base of shape " + c.shape(0).str() + " does not broadcast with exponent of shape " +
           c.shape(1).str() + "; aligned at the right, dimensions must be equal or 1");
  }
  c.set_output(0, c.dtype(0), *shape);
}

// x^2, which normalisation layers spell as Pow, is worth its own path: pow takes 20 times as long.
Step lower_pow_float32(const LowerContext& c) {
  const Tensor* exponent = c.content(1);
  const bool square = exponent != nullptr && exponent->elements() == 1 &&
                      *exponent->as<float>() == 2.0f && c.out_shape(0) == c.shape(0);
  if (!square) return binary_step<float, float, float, PowFunction>(c);
  const kernels::BinaryRun multiply =
      kernels::eltwise_binary(c.isa()).run[static_cast<int>(Binary::kMul)];
  const std::int64_t n = c.out_shape(0).elements();
  Step step;
  step.run = [multiply, n](const RunContext& run) {
    parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const float* x = run.in<float>(0) + begin;
      multiply({.a = x, .b = x, .y = run.out<float>(0) + begin, .rows = 1, .cols = end - begin});
    });
  };
  step.algorithm = "simd square";
  return step;
}

// The exponents, converted to U in scratch memory, keep the layout that the loop expects.
template <class U>
Step converting_pow(const LowerContext& c, RowsRun rows) {
  const std::int64_t n = c.shape(1).elements();
  const ElementSizes sizes{dtype_size(c.dtype(0)), sizeof(U), dtype_size(c.dtype(0))};
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(n) * sizeof(U);
  step.run = [n, rows, sizes, type = c.dtype(1),
              loop = broadcast_loop(c, {0, 1})](const RunContext& run) {
    U* exponents = reinterpret_cast<U*>(run.scratch);
    visit_number(type, [&]<class V>(std::type_identity<V>) {
      const V* given = run.in<V>(1);
      for (std::int64_t i = 0; i < n; ++i) exponents[i] = static_cast<U>(given[i]);
    });
    parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      run_part(loop, rows, sizes, run.in<void>(0), exponents, run.out<void>(0), begin, end);
    });
  };
  step.algorithm = "broadcast";
  return step;
}

Step lower_pow(LowerContext& c) {
  if (c.dtype(0) == DType::kFloat32 && c.dtype(1) == DType::kFloat32) return lower_pow_float32(c);
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    const bool whole = is_integer(c.dtype(1));
    step = whole ? converting_pow<std::int64_t>(c, run_rows<T, std::int64_t, T, PowFunction>)
                 : converting_pow<double>(c, run_rows<T, double, T, PowFunction>);
  });
  return step;
}

void infer_prelu(InferContext& c) {
  if (infer_broadcast(c, kNumbers) != c.shape(0)) {
    c.fail("slope of shape " + c.shape(1).str() + " does not broadcast to the input's shape " +
           c.shape(0).str() + "; give one slope per channel as [C, 1, 1]");
  }
  infer_same(c);
}

constexpr AttrDef kModAttrs[] = {{.name = "fmod",
                                  .type = AttrType::kInt,
                                  .doc = "1: the sign of the dividend; 0: of the divisor"}};

constexpr auto infer_numbers = infer_binary<kNumbers>;

constexpr OpDef kOps[] = {
    binary_op("Add", "a + b; integers wrap around.", lower_arithmetic<AddFunction, Binary::kAdd>,
              infer_numbers, 3),
    binary_op("Sub", "a - b; integers wrap around.", lower_arithmetic<SubFunction, Binary::kSub>,
              infer_numbers, 3),
    binary_op("Mul", "a b; integers wrap around.", lower_arithmetic<MulFunction, Binary::kMul>,
              infer_numbers, 3),
    binary_op("Div", "a / b; integers truncate toward zero, and give 0 for b = 0.",
              lower_arithmetic<DivFunction, Binary::kDiv>, infer_numbers, 3),
    binary_op("Mod", "The remainder of a / b; integers give 0 for b = 0.", lower_mod, infer_numbers,
              3, kModAttrs),
    binary_op("Pow", "Base to the power of the exponent, in the base's type.", lower_pow, infer_pow,
              1),
    binary_op("PRelu", "x, or slope x below zero (He et al. 2015).",
              lower_arithmetic<PReluFunction, Binary::kPRelu>, infer_prelu, 1),
};

}  // namespace

extern const OpTable binary_ops;
const OpTable binary_ops = {kOps};

}  // namespace lanewise
