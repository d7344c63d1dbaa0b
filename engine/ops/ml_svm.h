// Support vectors and their kernels: what SVMClassifier and SVMRegressor share.
#pragma once

#include <vector>

#include "engine/ops/ml.h"

namespace lanewise::ml {

class SupportVectors {
 public:
  // Fails unless the attributes describe `count` vectors of the input's width and a known kernel;
  // 0 vectors: a linear function, whatever the kernel.
  SupportVectors(const OpContext& c, std::int64_t count);

  std::int64_t count() const { return count_; }
  // kernel(x, y) over the features.
  double kernel(const double* x, const float* y) const;
  // kernel(x, vector i).
  double at(const double* x, std::int64_t i) const {
    return kernel(x, vectors_.data() + i * columns_);
  }

 private:
  enum class Kernel : std::uint8_t { kLinear, kPoly, kRbf, kSigmoid };
  Kernel kernel_ = Kernel::kLinear;
  std::int64_t count_, columns_;
  double gamma_ = 0, offset_ = 0, degree_ = 0;
  std::vector<float> vectors_;
};

inline constexpr AttrDef kKernelType = {.name = "kernel_type",
                                        .type = AttrType::kString,
                                        .doc = "LINEAR, POLY, RBF or SIGMOID",
                                        .string_default = "LINEAR"};
inline constexpr AttrDef kKernelParams = {
    .name = "kernel_params", .type = AttrType::kFloats, .doc = "gamma, coef0, degree; 0 if absent"};
inline constexpr AttrDef kSupportVectors = {
    .name = "support_vectors", .type = AttrType::kFloats, .doc = "one after another"};
inline constexpr AttrDef kCoefficients = {
    .name = "coefficients", .type = AttrType::kFloats, .doc = "weights of the vectors"};
inline constexpr AttrDef kRho = {
    .name = "rho", .type = AttrType::kFloats, .doc = "added to the scores"};

}  // namespace lanewise::ml
