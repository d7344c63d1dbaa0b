// MatMul, FusedMatMul, Gemm and FusedGemm through cuBLASLt.
#include "engine/cuda/matmul.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cuda/epilogue.h"
#include "engine/cuda/op.h"
#include "engine/ops/fused.h"

namespace lanewise::cuda {
namespace {

// The matrix product of two stacks, vectors promoted, FusedMatMul's transposes applied.
struct Stacks {
  ProductShape product;
  // Of each product in turn where it begins in A and in B, in matrices.
  std::vector<std::int64_t> a_index, b_index;
};

Shape leading(const Shape& shape) {
  return shape.rank() <= 2 ? Shape{}
                           : Shape(std::vector<std::int64_t>(shape.begin(), shape.end() - 2));
}

// For each matrix of the result the operand's that it is made from.
std::vector<std::int64_t> indices(const Shape& own, const Shape& batch) {
  std::vector<std::int64_t> result{0};
  const std::vector<std::int64_t> strides = own.strides();
  const int missing = batch.rank() - own.rank();
  for (int i = 0; i < batch.rank(); ++i) {
    const bool moves = i >= missing && own[i - missing] != 1;
    const std::int64_t stride = moves ? strides[static_cast<std::size_t>(i - missing)] : 0;
    std::vector<std::int64_t> next;
    for (std::int64_t index : result) {
      for (std::int64_t j = 0; j < batch[i]; ++j) next.push_back(index + j * stride);
    }
    result = std::move(next);
  }
  return result;
}

// The common difference of a list, or nothing.
std::optional<std::int64_t> even_stride(const std::vector<std::int64_t>& list) {
  const std::int64_t stride = list.size() < 2 ? 0 : list[1] - list[0];
  for (std::size_t i = 1; i < list.size(); ++i) {
    if (list[i] - list[i - 1] != stride) return std::nullopt;
  }
  return stride;
}

Stacks stacks_of(const CudaLowerContext& c) {
  Stacks s;
  const bool fused = !c.node().op->domain.empty();
  const Shape &a = c.shape(0), &b = c.shape(1);
  ProductShape& p = s.product;
  p.transpose_a = fused && a.rank() > 1 && c.attr_int("transA") != 0;
  p.transpose_b = fused && b.rank() > 1 && c.attr_int("transB") != 0;
  if (fused) p.alpha = c.attr_float("alpha");
  const auto last = [](const Shape& shape, int back) {
    return shape.rank() >= back ? shape[shape.rank() - back] : 1;
  };
  p.m = last(a, p.transpose_a ? 1 : 2);
  p.k = last(a, p.transpose_a ? 2 : 1);
  p.n = b.rank() == 1 ? 1 : last(b, p.transpose_b ? 2 : 1);
  const Shape batch = *broadcast(leading(a), leading(b));
  s.a_index = indices(leading(a), batch);
  s.b_index = indices(leading(b), batch);
  if (leading(b).elements() == 1 && !p.transpose_a) {  // one B for all: one tall matrix A
    p.m *= batch.elements();
    s.a_index = s.b_index = {0};
  }
  return s;
}

// Runs of products that one call makes.
struct StackedProducts {
  std::unique_ptr<Product> product;
  std::vector<std::pair<std::size_t, std::size_t>> starts;  // bytes into A and B
  std::size_t d_bytes = 0;                                  // between results of calls

  void run(const RunContext& run) const {
    std::byte* d = run.out<std::byte>(0);
    for (const auto& [a, b] : starts) {
      product->enqueue(run, run.in<std::byte>(0) + a, run.in<std::byte>(1) + b, nullptr, d);
      d += d_bytes;
    }
  }
};

Step lower_matmul(CudaLowerContext& c) {
  Stacks s = stacks_of(c);
  ProductShape p = s.product;
  const std::size_t size = dtype_size(c.output(0).dtype);
  const std::int64_t a_matrix = p.m * p.k, b_matrix = p.k * p.n;
  const auto a_stride = even_stride(s.a_index), b_stride = even_stride(s.b_index);
  auto made = std::make_shared<StackedProducts>();
  if (a_stride && b_stride) {
    p.batch = static_cast<std::int64_t>(s.a_index.size());
    p.a_stride = *a_stride * a_matrix;
    p.b_stride = *b_stride * b_matrix;
    made->starts = {{0, 0}};
  } else {
    for (std::size_t i = 0; i < s.a_index.size(); ++i) {
      made->starts.emplace_back(static_cast<std::size_t>(s.a_index[i] * a_matrix) * size,
                                static_cast<std::size_t>(s.b_index[i] * b_matrix) * size);
    }
    made->d_bytes = static_cast<std::size_t>(p.m * p.n) * size;
  }
  made->product = std::make_unique<Product>(c, p);
  Step step;
  step.algorithm = "cublaslt";
  step.scratch_bytes = made->product->workspace();
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

// A product and what cuBLASLt does not add to it.
struct GemmRun {
  std::unique_ptr<Product> product;
  std::unique_ptr<CudaEpilogue> epilogue;
  bool adds = false, bias_inside = false;

  void run(const RunContext& run) const {
    const void* addend = adds ? run.in<void>(2) : nullptr;
    product->enqueue(run, run.in<void>(0), run.in<void>(1), bias_inside ? addend : nullptr,
                     run.out<void>(0));
    if (epilogue != nullptr)
      epilogue->enqueue(run, run.out<void>(0), bias_inside ? nullptr : addend, nullptr);
  }
};

Step lower_gemm(CudaLowerContext& c) {
  ProductShape p;
  p.transpose_a = c.attr_int("transA") != 0;
  p.transpose_b = c.attr_int("transB") != 0;
  p.m = c.out_shape(0)[0];
  p.n = c.out_shape(0)[1];
  p.k = c.shape(0)[p.transpose_a ? 0 : 1];
  p.alpha = c.attr_float("alpha");
  EpilogueShape after{.rows = p.m, .columns = p.n, .scale = c.attr_float("beta"), .activation = {}};
  after.activation = fused_activation(c);
  const bool addend = c.has_input(2) && after.scale != 0.0f;
  if (addend) {
    const Shape& shape = c.shape(2);
    const int rank = shape.rank();
    after.column_stride = rank >= 1 && shape[rank - 1] != 1 ? 1 : 0;
    after.row_stride = rank == 2 && shape[0] != 1 ? shape[1] : 0;
  }
  using kernels::Activation;
  const bool row = addend && (after.column_stride == 1 || p.n == 1) && after.row_stride == 0;
  const bool inside = !addend || (row && after.scale == 1.0f);
  p.bias = addend && inside;
  p.relu = inside && after.activation.function == Activation::kRelu;
  const bool finished = inside && (p.relu || after.activation.function == Activation::kNone);
  auto made = std::make_shared<GemmRun>();
  made->product = std::make_unique<Product>(c, p);
  made->adds = addend;
  made->bias_inside = inside;
  if (!finished) made->epilogue = std::make_unique<CudaEpilogue>(c, after);
  Step step;
  step.algorithm = finished ? "cublaslt" : "cublaslt, epilogue";
  step.scratch_bytes = made->product->workspace();
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

constexpr CudaOp kOps[] = {
    {.name = "MatMul", .lower = lower_matmul},
    {.domain = "com.microsoft", .name = "FusedMatMul", .lower = lower_matmul},
    {.name = "Gemm", .lower = lower_gemm},
    {.domain = "lanewise", .name = "FusedGemm", .lower = lower_gemm}};

}  // namespace

extern const CudaOpTable matmul_cuda_ops;
const CudaOpTable matmul_cuda_ops = {kOps};

}  // namespace lanewise::cuda
