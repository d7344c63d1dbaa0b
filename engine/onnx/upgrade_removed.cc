// Experimental operators of the first opsets, removed from ONNX, that two others make up. Those
// that none do are operators of their own (engine/ops/legacy_image.cc).
#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

// alpha * tanh(beta * x)
void scaled_tanh(Rewriter& r) {
  const float alpha = r.take<float>("alpha").value_or(1.0f);
  const float beta = r.take<float>("beta").value_or(1.0f);
  const DType dtype = r.type_of(r.input(0));
  const std::string inner = r.before("Mul", {r.input(0), r.number(beta, dtype)});
  r.become("Mul", {r.before("Tanh", {inner}), r.number(alpha, dtype)});
}

// alpha * ln(exp(beta * x) + 1)
void parametric_softplus(Rewriter& r) {
  const float alpha = r.take<float>("alpha").value_or(1.0f);
  const float beta = r.take<float>("beta").value_or(1.0f);
  const DType dtype = r.type_of(r.input(0));
  const std::string inner = r.before("Mul", {r.input(0), r.number(beta, dtype)});
  r.become("Mul", {r.before("Softplus", {inner}), r.number(alpha, dtype)});
}

constexpr Rule kRules[] = {
    {"ScaledTanh", 1, kNewestOpset, scaled_tanh},
    {"ParametricSoftplus", 1, kNewestOpset, parametric_softplus},
};

}  // namespace

std::span<const Rule> removed_rules() { return kRules; }

}  // namespace lanewise::onnx
