// Descriptions and algorithms of products. cuBLASLt thinks in columns: a row-major matrix is its
// transpose to it, so it is asked for transposed(D) = transposed(op(B)) transposed(op(A)).
#include "engine/cuda/matmul.h"

#include <string>

#include "engine/cuda/device.h"

namespace lanewise::cuda {
namespace {

constexpr std::size_t kMostWorkspace = std::size_t{32} << 20;

int blas_type(const CudaLowerContext& c, DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return kRealFloat32;
    case DType::kFloat16: return kRealFloat16;
    case DType::kBFloat16: return kRealBFloat16;
    default:
      c.refuse("the device multiplies matrices of floats of at most 32 bits, not of " +
               std::string(dtype_name(dtype)));
  }
}

}  // namespace

Product::Product(const CudaLowerContext& c, const ProductShape& shape)
    : device_(c.device()), shape_(shape), type_(blas_type(c, c.output(0).dtype)) {
  const bool tensor_floats =
      c.precision() == Precision::kTf32 && c.output(0).dtype == DType::kFloat32;
  compute_ = tensor_floats ? kComputeTf32 : kComputeFloat32;
  const Device::Entered entered(*device_);
  try {
    describe();
    choose(c);
  } catch (...) {
    release();
    throw;
  }
}

Product::~Product() { release(); }

void Product::release() noexcept {
  const CublasLt& blas = device_->cublaslt();
  if (desc_ != nullptr) (void)blas.desc_destroy(desc_);
  for (void* layout : {a_, b_, d_}) {
    if (layout != nullptr) (void)blas.layout_destroy(layout);
  }
}

// A matrix of so many columns by rows, as the library sees it.
void* Product::layout(std::int64_t rows, std::int64_t columns, std::int64_t stride) const {
  const CublasLt& blas = device_->cublaslt();
  void* result = nullptr;
  blas.check(blas.layout_create(&result, type_, static_cast<std::uint64_t>(columns),
                                static_cast<std::uint64_t>(rows), columns),
             "describing a matrix");
  const auto batch = static_cast<std::int32_t>(shape_.batch);
  if (batch > 1) {
    (void)blas.layout_set(result, kLayoutBatchCount, &batch, sizeof(batch));
    (void)blas.layout_set(result, kLayoutBatchStride, &stride, sizeof(stride));
  }
  return result;
}

// The product and what follows it, with the bias at that address.
void* Product::description(const void* bias) const {
  const CublasLt& blas = device_->cublaslt();
  void* desc = nullptr;
  blas.check(blas.desc_create(&desc, compute_, kRealFloat32), "describing a matrix product");
  const std::int32_t first = shape_.transpose_b ? 1 : 0, second = shape_.transpose_a ? 1 : 0;
  const std::int32_t bits = (shape_.bias ? kEpilogueBias : 0) | (shape_.relu ? kEpilogueRelu : 0);
  const std::int32_t epilogue = bits == 0 ? kEpilogueNone : bits;
  int result = blas.desc_set(desc, kDescTransposeA, &first, sizeof(first));
  if (result == 0) result = blas.desc_set(desc, kDescTransposeB, &second, sizeof(second));
  if (result == 0) result = blas.desc_set(desc, kDescEpilogue, &epilogue, sizeof(epilogue));
  if (result == 0 && bias != nullptr) result = blas.desc_set(desc, kDescBias, &bias, sizeof(bias));
  if (result != 0) (void)blas.desc_destroy(desc);
  blas.check(result, "describing a matrix product");
  return desc;
}

void Product::describe() {
  desc_ = description(nullptr);
  if (shape_.transpose_b)
    a_ = layout(shape_.n, shape_.k, shape_.b_stride);
  else
    a_ = layout(shape_.k, shape_.n, shape_.b_stride);
  if (shape_.transpose_a)
    b_ = layout(shape_.k, shape_.m, shape_.a_stride);
  else
    b_ = layout(shape_.m, shape_.k, shape_.a_stride);
  d_ = layout(shape_.m, shape_.n, shape_.m * shape_.n);
}

void Product::choose(const CudaLowerContext& c) {
  const CublasLt& blas = device_->cublaslt();
  void* preference = nullptr;
  blas.check(blas.preference_create(&preference), "stating a preference");
  int result = blas.preference_set(preference, kPreferWorkspaceBytes, &kMostWorkspace,
                                   sizeof(kMostWorkspace));
  int found = 0;
  if (result == 0) {
    result = blas.heuristic(device_->cublaslt_handle(), desc_, a_, b_, d_, d_, preference, 1,
                            &chosen_, &found);
  }
  (void)blas.preference_destroy(preference);
  if (result != 0 || found < 1 || chosen_.status != 0)
    c.refuse("cuBLASLt has no algorithm for this product (status " + std::to_string(result) + ")");
}

void Product::enqueue(const RunContext& run, const void* a, const void* b, const void* bias,
                      void* d) const {
  const CublasLt& blas = device_->cublaslt();
  // The description holds the bias's address, which each frame has its own of.
  void* desc = shape_.bias ? description(bias) : desc_;
  const float beta = 0.0f;
  const int result =
      blas.matmul(device_->cublaslt_handle(), desc, &shape_.alpha, b, a_, a, b_, &beta, d, d_, d,
                  d_, &chosen_.algorithm, run.scratch, chosen_.workspace, stream_of(run).handle);
  if (shape_.bias) (void)blas.desc_destroy(desc);
  blas.check(result, "multiplying matrices");
}

}  // namespace lanewise::cuda
