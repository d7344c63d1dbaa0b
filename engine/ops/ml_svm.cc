// SVMRegressor of ai.onnx.ml, and the kernels of support vectors. SVMClassifier is in
// ml_svm_classifier.cc.
#include "engine/ops/ml_svm.h"

#include <cmath>
#include <memory>

namespace lanewise {
namespace ml {

SupportVectors::SupportVectors(const OpContext& c, std::int64_t count)
    : count_(count), columns_(expect_rows(c).columns) {
  const std::vector<float> params = c.attr_floats("kernel_params");
  if (!params.empty()) {
    expect_length(c, "kernel_params", params.size(), 3);
    gamma_ = params[0];
    offset_ = params[1];
    degree_ = params[2];
  }
  const std::string_view name = c.attr_string("kernel_type");
  if (name == "POLY") {
    kernel_ = Kernel::kPoly;
  } else if (name == "RBF") {
    kernel_ = Kernel::kRbf;
  } else if (name == "SIGMOID") {
    kernel_ = Kernel::kSigmoid;
  } else if (name != "LINEAR") {
    c.fail("attribute 'kernel_type' is '" + std::string(name) +
           "', expected LINEAR, POLY, RBF or SIGMOID");
  }
  if (count == 0) {
    kernel_ = Kernel::kLinear;
    return;
  }
  vectors_ = c.attr_floats("support_vectors");
  expect_length(c, "support_vectors", vectors_.size(), checked_multiply(count, columns_));
}

double SupportVectors::kernel(const double* x, const float* y) const {
  double sum = 0;
  if (kernel_ == Kernel::kRbf) {
    for (std::int64_t i = 0; i < columns_; ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return std::exp(-gamma_ * sum);
  }
  for (std::int64_t i = 0; i < columns_; ++i) sum += x[i] * y[i];
  switch (kernel_) {
    case Kernel::kPoly: return std::pow(gamma_ * sum + offset_, degree_);
    case Kernel::kSigmoid: return std::tanh(gamma_ * sum + offset_);
    default: return sum;
  }
}

}  // namespace ml

namespace {

class Regressor {
 public:
  explicit Regressor(const OpContext& c)
      : rows_(ml::expect_rows(c)),
        dtype_(c.dtype(0)),
        transform_(ml::transform_of(c)),
        vectors_(c, support_count(c)),
        coefficients_(c.attr_floats("coefficients")),
        one_class_(c.attr_int("one_class") != 0) {
    const std::vector<float> rho = c.attr_floats("rho");
    ml::expect_length(c, "rho", rho.size(), 1);
    rho_ = rho[0];
    ml::expect_length(c, "coefficients", coefficients_.size(),
                      vectors_.count() > 0 ? vectors_.count() : rows_.columns);
  }

  std::int64_t rows() const { return rows_.rows; }

  void run(const RunContext& run) const {
    ml::for_rows(run, dtype_, rows_, [&](std::int64_t row, const double* x) {
      double sum = rho_;
      if (vectors_.count() == 0) sum += vectors_.kernel(x, coefficients_.data());
      for (std::int64_t i = 0; i < vectors_.count(); ++i) {
        sum += coefficients_[static_cast<std::size_t>(i)] * vectors_.at(x, i);
      }
      float score = static_cast<float>(sum);
      if (one_class_) score = score > 0 ? 1.0f : -1.0f;
      ml::transform_scores(transform_, {&score, 1});
      run.out<float>(0)[row] = score;
    });
  }

 private:
  static std::int64_t support_count(const OpContext& c) {
    const std::int64_t count = c.attr_int("n_supports");
    if (count < 0) c.fail("attribute 'n_supports' is " + std::to_string(count));
    return count;
  }

  ml::Rows rows_;
  DType dtype_;
  ml::Transform transform_;
  ml::SupportVectors vectors_;
  std::vector<float> coefficients_;
  double rho_ = 0;
  bool one_class_;
};

void infer_regressor(InferContext& c) {
  c.set_output(0, DType::kFloat32, {Regressor(c).rows(), 1});
}

Step lower_regressor(LowerContext& c) { return step_of<Regressor>(c, "support vectors"); }

constexpr AttrDef kAttrs[] = {
    ml::kKernelType,
    ml::kKernelParams,
    ml::kSupportVectors,
    ml::kCoefficients,
    ml::kRho,
    ml::kPostTransform,
    {.name = "n_supports", .type = AttrType::kInt, .doc = "number of vectors; 0: linear"},
    {.name = "one_class", .type = AttrType::kInt, .doc = "1: outputs 1 or -1 by the sign"},
};

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "SVMRegressor",
     .doc = "Regression by support vectors (Drucker et al. 1997).",
     .attributes = kAttrs,
     .infer = infer_regressor,
     .lower = lower_regressor},
};

}  // namespace

extern const OpTable ml_svm_ops;
const OpTable ml_svm_ops = {kOps};

}  // namespace lanewise
