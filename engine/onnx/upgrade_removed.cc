// Experimental operators of the first opsets, removed from ONNX and still found in files.
#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

// x * scale + bias of each channel.
void image_scaler(Rewriter& r) {
  const float scale = r.take<float>("scale").value_or(1.0f);
  const auto bias = r.take<std::vector<float>>("bias").value_or(std::vector<float>{});
  const std::string x = r.input(0);
  const DType dtype = r.type_of(x);
  const std::string scaled = r.before("Mul", {x, r.number(scale, dtype)});
  if (bias.empty()) return r.become("Identity", {scaled});
  const std::string column = r.before("Reshape", {r.floats(bias, dtype), r.ints({-1, 1, 1})});
  r.become("Add", {scaled, column});
}

// alpha * x + beta
void affine(Rewriter& r) {
  const float alpha = r.take<float>("alpha").value_or(1.0f);
  const float beta = r.take<float>("beta").value_or(0.0f);
  const std::string x = r.input(0);
  const DType dtype = r.type_of(x);
  r.become("Add", {r.before("Mul", {x, r.number(alpha, dtype)}), r.number(beta, dtype)});
}

// Cuts `border` (left, top, right, bottom) off, or takes `scale` (height, width) from there.
void crop(Rewriter& r) {
  const auto border = r.take<std::vector<std::int64_t>>("border").value_or(std::vector<std::int64_t>{});
  const auto scale = r.take<std::vector<std::int64_t>>("scale").value_or(std::vector<std::int64_t>{});
  if (border.size() != 4) r.fail("attribute 'border' must have four values: left, top, right, bottom");
  for (std::int64_t edge : border) {
    if (edge < 0) r.fail("attribute 'border' must not be negative");
  }
  const std::string x = r.input(0);
  const std::string starts = r.ints({border[1], border[0]});
  std::string ends;
  if (scale.size() == 2) {
    ends = r.before("Add", {starts, r.ints({scale[0], scale[1]})});
  } else {
    const std::string size = r.before("Shape", {x}, attrs({{"start", std::int64_t{2}}}));
    ends = r.before("Sub", {size, r.ints({border[3], border[2]})});
  }
  r.become("Slice", {x, starts, ends, r.ints({2, 3})});
}

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
    {"ImageScaler", 1, kNewestOpset, image_scaler},
    {"Affine", 1, kNewestOpset, affine},
    {"Crop", 1, kNewestOpset, crop},
    {"ScaledTanh", 1, kNewestOpset, scaled_tanh},
    {"ParametricSoftplus", 1, kNewestOpset, parametric_softplus},
};

}  // namespace

std::span<const Rule> removed_rules() { return kRules; }

}  // namespace lanewise::onnx
