// What products of quantised matrices share: where a node has its inputs, the matrices' sizes, and
// the choice of a row's or column's parameter. 8-bit floats have a path of their own.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/quant_parameters.h"
#include "engine/graph/op.h"

namespace lanewise {

// Where the node has its inputs; -1 in an operator that gives the sums themselves.
struct ProductInputs {
  int a = 0, a_zero = 0, b = 0, b_zero = 0;
  int a_scale = -1, b_scale = -1, y_scale = -1, y_zero = -1;
  // In the fused form only: a bias, a B that may be transposed (`transB`), bounds of the result.
  int bias = -1;
  bool fused = false;
};
inline constexpr ProductInputs kQLinear = {.a = 0,
                                           .a_zero = 2,
                                           .b = 3,
                                           .b_zero = 5,
                                           .a_scale = 1,
                                           .b_scale = 4,
                                           .y_scale = 6,
                                           .y_zero = 7};
// Both operands as stacks of matrices, 1-D ones with a dimension of one put in and dropped again.
struct ProductSizes {
  std::int64_t m = 1, n = 1, k = 0;
  Shape a_batch, b_batch, batch, out;
};

inline bool transposes_b(const OpContext& c, const ProductInputs& in) {
  return in.fused && c.attr_int("transB") != 0;
}

inline ProductSizes sizes_of(const OpContext& c, const ProductInputs& in) {
  const Shape& a = c.shape(in.a);
  const Shape& b = c.shape(in.b);
  if (a.rank() < 1 || b.rank() < 1)
    c.fail("cannot multiply scalars: found shapes " + a.str() + " and " + b.str());
  ProductSizes s;
  s.k = a[a.rank() - 1];
  s.m = a.rank() > 1 ? a[a.rank() - 2] : 1;
  s.n = b.rank() > 1 ? b[b.rank() - 1] : 1;
  std::int64_t depth = b.rank() > 1 ? b[b.rank() - 2] : b[0];
  if (b.rank() > 1 && transposes_b(c, in)) std::swap(s.n, depth);
  for (int i = 0; i + 2 < a.rank(); ++i) s.a_batch.push_back(a[i]);
  for (int i = 0; i + 2 < b.rank(); ++i) s.b_batch.push_back(b[i]);
  const auto batch = broadcast(s.a_batch, s.b_batch);
  if (depth != s.k || !batch) {
    c.fail("shapes " + a.str() + " and " + b.str() +
           " cannot be multiplied: the inner dimensions must be " +
           "equal and the others broadcast");
  }
  s.batch = s.out = *batch;
  if (a.rank() > 1) s.out.push_back(s.m);
  if (b.rank() > 1) s.out.push_back(s.n);
  return s;
}

// A parameter of rows or columns: one value, one for each of `count`, or one for each in every
// matrix.
inline void expect_count(const OpContext& c, int i, std::int64_t count, const Shape& batch) {
  if (!c.has_input(i)) return;
  const std::int64_t given = c.shape(i).elements();
  if (given == 1 || given == count || given == checked_multiply(count, batch.elements())) return;
  c.fail("input " + std::to_string(i) + " must have 1 or " + std::to_string(count) +
         " values, found shape " + c.shape(i).str());
}

inline std::int64_t pick(std::int64_t given, std::int64_t count, std::int64_t batch,
                         std::int64_t i) {
  return given == 1 ? 0 : given == count ? i : batch * count + i;
}

// The operand's matrix for matrix `i` of the result; `strides` step through the operand's.
inline std::int64_t operand_matrix(const ProductSizes& s, std::int64_t i,
                                   const std::vector<std::int64_t>& strides) {
  std::int64_t result = 0;
  for (std::size_t axis = strides.size(); axis-- > 0;) {
    const std::int64_t size = s.batch[static_cast<int>(axis)];
    result += i % size * strides[axis];
    i /= size;
  }
  return result;
}

inline void expect_product_scales(const OpContext& c, const ProductSizes& s) {
  for (int i : {kQLinear.a_scale, kQLinear.b_scale, kQLinear.y_scale}) {
    c.expect_dtype(i, {DType::kFloat32, DType::kFloat16, DType::kBFloat16});
  }
  expect_count(c, kQLinear.a_scale, s.m, s.a_batch);
  expect_count(c, kQLinear.b_scale, s.n, s.b_batch);
  expect_scale(c, kQLinear.y_scale);
}

// Products of 8-bit integers (int_matmul.cc).
Step lower_int_matmul(LowerContext& c, const ProductInputs& in);

// QLinearMatMul of which an operand or the result is of 8-bit floats (qlinear_matmul_small.cc).
bool has_small_floats(const OpContext& c);
void infer_small_product(InferContext& c);
Step lower_small_product(LowerContext& c);

}  // namespace lanewise
