// MatMul, com.microsoft:FusedMatMul, which transposes and scales, Gemm, and lanewise:FusedGemm,
// which applies an activation. Products are computed in engine/cpu/matmul.h.
#include "engine/cpu/matmul.h"

#include <utility>

#include "engine/graph/op.h"
#include "engine/ops/fused.h"

namespace lanewise {
namespace {

constexpr std::initializer_list<DType> kNumbers = {
    DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64, DType::kUInt32, DType::kUInt64};

// Shapes of MatMul with the vectors promoted to matrices, which FusedMatMul may transpose.
struct MatmulShapes {
  Shape a, b, batch;
  bool transpose_a = false, transpose_b = false;
};

MatmulShapes matmul_shapes(const OpContext& c) {
  MatmulShapes s{c.shape(0), c.shape(1), {}};
  if (!c.node().op->domain.empty()) {
    s.transpose_a = c.attr_int("transA") != 0 && s.a.rank() > 1;
    s.transpose_b = c.attr_int("transB") != 0 && s.b.rank() > 1;
    if (s.transpose_a) std::swap(s.a[s.a.rank() - 1], s.a[s.a.rank() - 2]);
    if (s.transpose_b) std::swap(s.b[s.b.rank() - 1], s.b[s.b.rank() - 2]);
  }
  if (s.a.rank() == 1) s.a = Shape{1, s.a[0]};
  if (s.b.rank() == 1) s.b = Shape{s.b[0], 1};
  const Shape a_batch(std::vector<std::int64_t>(s.a.begin(), s.a.end() - 2));
  const Shape b_batch(std::vector<std::int64_t>(s.b.begin(), s.b.end() - 2));
  const auto batch = broadcast(a_batch, b_batch);
  if (!batch || s.a[s.a.rank() - 1] != s.b[s.b.rank() - 2]) {
    c.fail(
        "cannot multiply inputs of shapes " + c.shape(0).str() + " and " + c.shape(1).str() +
        ": expected the last dimension of the first to equal the last but one of the second, and "
        "the dimensions before them to broadcast");
  }
  s.batch = *batch;
  return s;
}

void infer_matmul(InferContext& c) {
  c.expect_dtype(0, kNumbers);
  c.expect_same_dtype(0, 1);
  c.expect_rank(0, 1, 64);
  c.expect_rank(1, 1, 64);
  const MatmulShapes s = matmul_shapes(c);
  Shape out = s.batch;
  if (c.shape(0).rank() > 1) out.push_back(s.a[s.a.rank() - 2]);
  if (c.shape(1).rank() > 1) out.push_back(s.b[s.b.rank() - 1]);
  out.elements();  // overflow
  c.set_output(0, c.dtype(0), out);
}

// For each matrix of the result in order, the index of the operand's matrix it is made from.
std::vector<std::int64_t> batch_indices(const Shape& operand, const Shape& batch) {
  const Shape own(std::vector<std::int64_t>(operand.begin(), operand.end() - 2));
  const std::vector<std::int64_t> strides = own.strides();
  const int missing = batch.rank() - own.rank();
  std::vector<std::int64_t> indices{0};
  for (int i = 0; i < batch.rank(); ++i) {
    const bool moves = i >= missing && own[i - missing] != 1;
    const std::int64_t stride = moves ? strides[static_cast<std::size_t>(i - missing)] : 0;
    std::vector<std::int64_t> next;
    next.reserve(indices.size() * static_cast<std::size_t>(batch[i]));
    for (std::int64_t index : indices) {
      for (std::int64_t j = 0; j < batch[i]; ++j) next.push_back(index + j * stride);
    }
    indices = std::move(next);
  }
  return indices;
}

Step lower_matmul_op(LowerContext& c) {
  const MatmulShapes s = matmul_shapes(c);
  MatmulProblem p;
  p.m = s.a[s.a.rank() - 2];
  p.k = s.a[s.a.rank() - 1];
  p.n = s.b[s.b.rank() - 1];
  p.transpose_a = s.transpose_a;
  p.transpose_b = s.transpose_b;
  if (!c.node().op->domain.empty()) p.alpha = c.attr_float("alpha");
  if (c.out_shape(0).elements() != 0) {
    const std::int64_t b_matrices = s.b.elements(0, s.b.rank() - 2);
    if (b_matrices == 1 &&
        !p.transpose_a) {  // one B for all: the matrices of A are one tall matrix
      p.m *= s.batch.elements();
      p.a_index = {0};
      p.b_index = {0};
    } else {
      p.a_index = batch_indices(s.a, s.batch);
      p.b_index = batch_indices(s.b, s.batch);
    }
  }
  return lower_matmul(std::move(p), c);
}

double matmul_flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const MatmulShapes s = matmul_shapes(c);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(s.a[s.a.rank() - 1]);
}

void infer_gemm(InferContext& c) {
  c.expect_dtype(0, kNumbers);
  c.expect_same_dtype(0, 1);
  c.expect_rank(0, 2, 2);
  c.expect_rank(1, 2, 2);
  const bool ta = c.attr_int("transA") != 0, tb = c.attr_int("transB") != 0;
  const Shape &a = c.shape(0), &b = c.shape(1);
  if (a[ta ? 0 : 1] != b[tb ? 1 : 0]) {
    c.fail("cannot multiply inputs of shapes " + a.str() + (ta ? " (transposed)" : "") + " and " +
           b.str() + (tb ? " (transposed)" : "") + ": the inner dimensions differ");
  }
  const Shape out{a[ta ? 1 : 0], b[tb ? 0 : 1]};
  if (c.has_input(2)) {
    c.expect_same_dtype(0, 2);
    if (broadcast(c.shape(2), out) != out) {
      c.fail("input 2 of shape " + c.shape(2).str() +
             " does not broadcast to the product's shape " + out.str());
    }
  }
  check_activation(c);
  out.elements();  // overflow
  c.set_output(0, c.dtype(0), out);
}

Step lower_gemm(LowerContext& c) {
  MatmulProblem p;
  p.transpose_a = c.attr_int("transA") != 0;
  p.transpose_b = c.attr_int("transB") != 0;
  p.m = c.out_shape(0)[0];
  p.n = c.out_shape(0)[1];
  p.k = c.shape(0)[p.transpose_a ? 0 : 1];
  p.a_index = {0};
  p.b_index = {0};
  p.alpha = c.attr_float("alpha");
  p.beta = c.attr_float("beta");
  p.has_c = c.has_input(2) && p.beta != 0.0f;
  if (p.has_c) {
    const Shape& shape = c.shape(2);
    const int rank = shape.rank();
    p.c_column = rank >= 1 && shape[rank - 1] != 1 ? 1 : 0;
    p.c_row = rank == 2 && shape[0] != 1 ? shape[1] : 0;
  }
  const kernels::ActivationCall activation = fused_activation(c);
  p.activation = activation.function;
  p.activation_alpha = activation.alpha;
  p.activation_beta = activation.beta;
  return lower_matmul(std::move(p), c);
}

double gemm_flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const double k = static_cast<double>(c.shape(0)[c.attr_int("transA") != 0 ? 0 : 1]);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) * k;
}

constexpr AttrDef kMatmulAttrs[] = {
    {.name = "alpha",
     .type = AttrType::kFloat,
     .doc = "factor of the product",
     .float_default = 1.0f},
    {.name = "transA", .type = AttrType::kInt, .doc = "1: matrices of A are given transposed"},
    {.name = "transB", .type = AttrType::kInt, .doc = "1: matrices of B are given transposed"}};

constexpr AttrDef kGemmAttrs[] = {
    {.name = "alpha",
     .type = AttrType::kFloat,
     .doc = "factor of the product",
     .float_default = 1.0f},
    {.name = "beta", .type = AttrType::kFloat, .doc = "factor of C", .float_default = 1.0f},
    {.name = "transA", .type = AttrType::kInt, .doc = "A is given as [K, M]"},
    {.name = "transB", .type = AttrType::kInt, .doc = "B is given as [N, K]"}};
constexpr auto kFusedAttrs = with_activation_attrs(kGemmAttrs);

constexpr OpDef kOps[] = {
    {.name = "MatMul",
     .doc = "Matrix product over the last two dimensions, as numpy.matmul.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_matmul,
     .lower = lower_matmul_op,
     .flops = matmul_flops},
    {.domain = "com.microsoft",
     .name = "FusedMatMul",
     .doc = "alpha times a matrix product, either factor transposed.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kMatmulAttrs,
     .infer = infer_matmul,
     .lower = lower_matmul_op,
     .flops = matmul_flops},
    {.name = "Gemm",
     .doc = "alpha A B + beta C, either factor transposed.",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kGemmAttrs,
     .infer = infer_gemm,
     .lower = lower_gemm,
     .flops = gemm_flops},
    {.domain = "lanewise",
     .name = "FusedGemm",
     .doc = "activation(alpha A B + beta C).",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kFusedAttrs,
     .infer = infer_gemm,
     .lower = lower_gemm,
     .flops = gemm_flops},
};

}  // namespace

extern const OpTable matmul_ops;
const OpTable matmul_ops = {kOps};

}  // namespace lanewise
