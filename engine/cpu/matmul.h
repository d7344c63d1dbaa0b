// Products of batches of matrices on the CPU: MatMul and Gemm once their shapes are settled.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/op.h"
#include "engine/kernels/epilogue.h"

namespace lanewise {

// Y[b] = activation(alpha A[b] B[b] + beta C): A is [m x k] or, transposed, [k x m]; B is [k x n]
// or [n x k]; C is broadcast through its strides. Y is dense [batches][m][n]. Inputs of the step: 0
// A, 1 B, 2 C or null.
struct MatmulProblem {
  std::int64_t m = 0, n = 0, k = 0;
  // For each matrix of the result, which matrix of A and of B it is the product of.
  std::vector<std::int64_t> a_index, b_index;
  bool transpose_a = false, transpose_b = false;
  float alpha = 1.0f, beta = 1.0f;
  bool has_c = false;
  std::int64_t c_row = 0, c_column = 0;  // strides of C in elements, 0 where it is broadcast
  kernels::Activation activation = kernels::Activation::kNone;
  float activation_alpha = 0.0f, activation_beta = 0.0f;

  std::int64_t batches() const { return static_cast<std::int64_t>(a_index.size()); }
  std::int64_t a_row() const { return transpose_a ? 1 : k; }
  std::int64_t a_column() const { return transpose_a ? m : 1; }
  std::int64_t b_row() const { return transpose_b ? 1 : n; }
  std::int64_t b_column() const { return transpose_b ? k : 1; }
};

// float32 through register tiles; float64 and integers (which wrap) through plain loops.
Step lower_matmul(MatmulProblem problem, const LowerContext& c);

}  // namespace lanewise
