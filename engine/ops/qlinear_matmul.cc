// QLinearMatMul and MatMulInteger: schemas and shape rules. What runs is int_matmul.
#include <string>

#include "engine/cpu/quant_parameters.h"
#include "engine/graph/op.h"
#include "engine/ops/fused.h"
#include "engine/ops/quant_product.h"

namespace lanewise {
namespace {

constexpr ProductInputs kFused = [] {
  ProductInputs in = kQLinear;
  in.bias = 8;
  in.fused = true;
  return in;
}();
constexpr ProductInputs kInteger = {.a = 0, .a_zero = 2, .b = 1, .b_zero = 3};

Shape checked_shape(const OpContext& c, const ProductInputs& in) {
  expect_bytes(c, in.a);
  expect_bytes(c, in.b);
  if (c.has_input(in.a_zero)) c.expect_same_dtype(in.a_zero, in.a);
  if (c.has_input(in.b_zero)) c.expect_same_dtype(in.b_zero, in.b);
  const ProductSizes s = sizes_of(c, in);
  expect_count(c, in.a_zero, s.m, s.a_batch);
  expect_count(c, in.b_zero, s.n, s.b_batch);
  return s.out;
}

template <const ProductInputs& in>
void infer_qlinear(InferContext& c) {
  if constexpr (in.fused) check_byte_clamp(c);
  if (has_small_floats(c)) return infer_small_product(c);
  const Shape out = checked_shape(c, in);
  const ProductSizes s = sizes_of(c, in);
  if (in.bias >= 0 && c.has_input(in.bias)) {
    c.expect_dtype(in.bias, {DType::kInt32, DType::kFloat32});
    if (c.shape(in.bias) != Shape{s.n}) {
      c.fail("the bias must have shape " + Shape{s.n}.str() + ", found " + c.shape(in.bias).str());
    }
    const bool by_row = c.shape(in.a_scale).elements() > 1 ||
                        (c.has_input(in.a_zero) && c.shape(in.a_zero).elements() > 1);
    if (by_row) c.unsupported("a bias with parameters for each row of input 0");
  }
  expect_product_scales(c, s);
  expect_bytes(c, kQLinear.y_zero);
  expect_zero(c, kQLinear.y_zero, c.dtype(kQLinear.y_zero));
  c.set_output(0, c.dtype(kQLinear.y_zero), out);
}

void infer_integer(InferContext& c) { c.set_output(0, DType::kInt32, checked_shape(c, kInteger)); }

template <const ProductInputs& in>
Step lower(LowerContext& c) {
  if (in.y_zero >= 0 && has_small_floats(c)) return lower_small_product(c);
  return lower_int_matmul(c, in);
}

double flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const Shape& a = c.shape(0);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(a[a.rank() - 1]);
}

constexpr AttrDef kTransB[] = {
    {.name = "transB", .type = AttrType::kInt, .doc = "1: B is given as [columns, depth]"}};
constexpr auto kFusedAttrs = with_byte_clamp(kTransB);

constexpr OpDef kOps[] = {
    {.name = "QLinearMatMul",
     .doc = "Matrix product of quantised values, sums exact in int32.",
     .min_inputs = 8,
     .max_inputs = 8,
     .infer = infer_qlinear<kQLinear>,
     .lower = lower<kQLinear>,
     .flops = flops},
    {.domain = "lanewise",
     .name = "FusedQLinearMatMul",
     .doc = "QLinearMatMul with a bias, or an activation that bounds its result.",
     .min_inputs = 8,
     .max_inputs = 9,
     .attributes = kFusedAttrs,
     .infer = infer_qlinear<kFused>,
     .lower = lower<kFused>,
     .flops = flops},
    {.name = "MatMulInteger",
     .doc = "Matrix product of integers with int32 sums as the result.",
     .min_inputs = 2,
     .max_inputs = 4,
     .infer = infer_integer,
     .lower = lower<kInteger>,
     .flops = flops},
};

}  // namespace

extern const OpTable qlinear_matmul_ops;
const OpTable qlinear_matmul_ops = {kOps};

}  // namespace lanewise
