// Row-major matrix products through cuBLASLt. Which operators need them is in engine/cuda/ops.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/cuda/device.h"
#include "engine/cuda/op.h"

namespace lanewise::cuda {

// D = alpha op(A) op(B), with a bias per column and ReLU where cuBLASLt is to add them. All are
// row-major and dense; op(A) is m x k, op(B) k x n. `batch` products follow one another at the
// strides, in elements; 0 takes the same matrix again.
struct ProductShape {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  std::int64_t a_stride = 0, b_stride = 0;
  bool transpose_a = false, transpose_b = false;
  float alpha = 1.0f;
  bool bias = false, relu = false;
};

class Product {
 public:
  // For the type of output 0. Refuses when cuBLASLt has no algorithm.
  Product(const CudaLowerContext& c, const ProductShape& shape);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  std::size_t workspace() const { return chosen_.workspace; }
  void enqueue(const RunContext& run, const void* a, const void* b, const void* bias,
               void* d) const;

 private:
  void describe();
  void* description(const void* bias) const;
  void choose(const CudaLowerContext& c);
  void* layout(std::int64_t rows, std::int64_t columns, std::int64_t stride) const;
  void release() noexcept;

  std::shared_ptr<Device> device_;
  ProductShape shape_;
  int type_ = 0, compute_ = 0;
  void *desc_ = nullptr, *a_ = nullptr, *b_ = nullptr, *d_ = nullptr;
  MatmulHeuristic chosen_{};
};

}  // namespace lanewise::cuda
