// Operators of com.microsoft that exporters and ONNX Runtime's optimiser write and that operators
// of ai.onnx make up: activations, normalisations, fused products. Attention and quantised forms
// have files of their own.
#include <algorithm>
#include <cmath>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

constexpr std::string_view kMicrosoft = "com.microsoft";

void become_gelu(Rewriter& r, const std::string& x, const char* approximate) {
  r.become("Gelu", {x}, attrs({{"approximate", std::string(approximate)}}));
}

void gelu(Rewriter& r) { become_gelu(r, r.input(0), "none"); }

void bias_gelu(Rewriter& r) { become_gelu(r, r.before("Add", {r.input(0), r.input(1)}), "none"); }

void fast_gelu(Rewriter& r) {
  const std::string x = r.has_input(1) ? r.before("Add", {r.input(0), r.input(1)}) : r.input(0);
  become_gelu(r, x, "tanh");
}

// x sigmoid(alpha x)
void quick_gelu(Rewriter& r) {
  const float alpha = r.take<float>("alpha").value_or(1.702f);
  r.become("Swish", {r.input(0)}, attrs({{"alpha", alpha}}));
}

// input + skip + bias, made under the name of the node's output `shown` where it has one.
std::string skip_sum(Rewriter& r, std::size_t bias, std::size_t shown) {
  std::string sum = r.input(0);
  const bool has_bias = r.has_input(bias);
  if (has_bias) sum = r.before("Add", {sum, r.input(bias)});
  if (shown < r.node.outputs.size() && !r.node.outputs[shown].empty()) {
    const std::string name = r.node.outputs[shown];
    r.make_instead(shown, "Add", {sum, r.input(1)});
    return name;
  }
  return r.before("Add", {sum, r.input(1)});
}

AttrMap last_axis(Rewriter& r, float fallback) {
  const float epsilon = r.take<float>("epsilon").value_or(fallback);
  return attrs({{"axis", std::int64_t{-1}}, {"epsilon", epsilon}});
}

void skip_layer_norm(Rewriter& r) {
  const std::string sum = skip_sum(r, 4, 3);
  std::vector<std::string> inputs{sum, r.input(2)};
  if (r.has_input(3)) inputs.push_back(r.input(3));
  r.become("LayerNormalization", std::move(inputs), last_axis(r, 1e-12f));
}

// 1 / sqrt(mean(x^2) + epsilon) over the axes from `axis` on; these may only be the last one.
void make_inverse_rms(Rewriter& r, std::size_t output, const std::string& x, float epsilon) {
  if (output >= r.node.outputs.size() || r.node.outputs[output].empty()) return;
  const std::string square = r.before("Mul", {x, x});
  const std::string mean = r.before("ReduceMean", {square, r.ints({-1})});
  const std::string root =
      r.before("Sqrt", {r.before("Add", {mean, r.number(epsilon, r.type_of(x))})});
  r.make_instead(output, "Reciprocal", {root});
}

void skip_simplified_layer_norm(Rewriter& r) {
  const std::string sum = skip_sum(r, 3, 3);
  if (r.node.outputs.size() > 1 && !r.node.outputs[1].empty())
    r.unsupported("output 1 (mean) of SkipSimplifiedLayerNormalization");
  AttrMap attributes = last_axis(r, 1e-12f);
  make_inverse_rms(r, 2, sum, std::get<float>(*attributes.find("epsilon")->second.value));
  r.become("RMSNormalization", {sum, r.input(2)}, std::move(attributes));
}

// An operator of ONNX Runtime that stands in the domain ai.onnx.
void simplified_layer_norm(Rewriter& r) {
  const auto axis = r.take<std::int64_t>("axis").value_or(-1);
  const float epsilon = r.take<float>("epsilon").value_or(1e-5f);
  if (r.node.outputs.size() > 1 && !r.node.outputs[1].empty() && axis != -1)
    r.unsupported("output 1 (inv_std_var) of SimplifiedLayerNormalization with an axis but -1");
  make_inverse_rms(r, 1, r.input(0), epsilon);
  r.become("RMSNormalization", {r.input(0), r.input(1)},
           attrs({{"axis", axis}, {"epsilon", epsilon}}));
}

// How many positions of each sample the mask keeps; 0 without a mask.
void make_mask_index(Rewriter& r) {
  const std::string one_axis = r.ints({1});
  std::string mask;
  if (r.has_input(7)) {
    mask = r.before("Cast", {r.input(7)}, attrs({{"to", std::int64_t{6}}}));
  } else {
    Tensor zero = Tensor::allocate(DType::kInt32, Shape{1});
    *zero.mutable_as<std::int32_t>() = 0;
    mask = r.before("ConstantOfShape", {r.before("Shape", {r.input(0)})}, attrs({{"value", zero}}));
  }
  r.make_instead(1, "ReduceSum", {mask, one_axis}, attrs({{"keepdims", std::int64_t{0}}}));
}

// Word, position and segment vectors (Devlin et al. 2019), summed and normalised.
void embed_layer_norm(Rewriter& r) {
  const std::string ids = r.input(0);
  if (r.node.outputs.size() > 1 && !r.node.outputs[1].empty()) make_mask_index(r);
  r.drop("mask_index_type");
  std::string position;
  if (r.has_input(8)) {
    position = r.before("Gather", {r.input(3), r.input(8)});
  } else {
    const std::string count =
        r.before("Shape", {ids}, attrs({{"start", std::int64_t{1}}, {"end", std::int64_t{2}}}));
    position = r.before("Slice", {r.input(3), r.ints({0}), count, r.ints({0})});
  }
  const std::string word = r.before("Gather", {r.input(2), ids});
  std::vector<std::string> terms{word, position};
  if (r.has_input(1) && r.has_input(4)) {
    terms = {r.before("Add", terms), r.before("Gather", {r.input(4), r.input(1)})};
  }
  std::string sum;
  if (r.node.outputs.size() > 2 && !r.node.outputs[2].empty()) {
    sum = r.node.outputs[2];
    r.make_instead(2, "Add", terms);
  } else {
    sum = r.before("Add", terms);
  }
  r.become("LayerNormalization", {sum, r.input(5), r.input(6)}, last_axis(r, 1e-12f));
  r.node.outputs.resize(1);
}

// Makes the node the activation of `x` that the attributes of a fused operator name, with its
// parameters in order; a plain Identity when there is none.
void become_activation(Rewriter& r, const std::string& x, const std::string& name,
                       const std::vector<float>& parameters) {
  const auto parameter = [&](std::size_t i, float fallback) {
    return i < parameters.size() ? parameters[i] : fallback;
  };
  const DType dtype = r.type_of(x);
  if (name.empty()) return r.become("Identity", {x});
  if (name == "Relu" || name == "Tanh" || name == "Sigmoid") return r.become(name, {x});
  if (name == "LeakyRelu" || name == "Elu") {
    const float alpha = parameter(0, name == "Elu" ? 1.0f : 0.01f);
    return r.become(name, {x}, attrs({{"alpha", alpha}}));
  }
  if (name == "HardSigmoid") {
    return r.become(name, {x},
                    attrs({{"alpha", parameter(0, 0.2f)}, {"beta", parameter(1, 0.5f)}}));
  }
  if (name == "Clip") {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return r.become(name, {x, r.number(parameter(0, -kInfinity), dtype),
                           r.number(parameter(1, kInfinity), dtype)});
  }
  r.unsupported("activation '" + name + "'");
}

void fused_conv(Rewriter& r) {
  const std::string activation = r.take<std::string>("activation").value_or("");
  const auto parameters =
      r.take<std::vector<float>>("activation_params").value_or(std::vector<float>{});
  std::vector<std::string> inputs{r.input(0), r.input(1)};
  if (r.has_input(2)) inputs.push_back(r.input(2));
  std::string y = r.before("Conv", std::move(inputs), std::move(r.node.attributes));
  if (r.has_input(3)) y = r.before("Add", {y, r.input(3)});
  become_activation(r, y, activation, parameters);
}

void fused_gemm(Rewriter& r) {
  const std::string activation = r.take<std::string>("activation").value_or("");
  std::vector<float> parameters;
  if (const auto alpha = r.take<float>("activation_alpha")) {
    parameters = {*alpha};
    if (const auto beta = r.take<float>("activation_beta")) parameters.push_back(*beta);
  }
  r.drop("activation_gamma");
  std::vector<std::string> inputs{r.input(0), r.input(1)};
  if (r.has_input(2)) inputs.push_back(r.input(2));
  const std::string y = r.before("Gemm", std::move(inputs), std::move(r.node.attributes));
  become_activation(r, y, activation, parameters);
}

// The batch dimensions behind the first matrix dimension go to the front; the rest is the
// operator's own (engine/ops/matmul.cc).
void fused_matmul(Rewriter& r) {
  const char* const names[] = {"transBatchA", "transBatchB"};
  for (std::size_t i = 0; i < 2; ++i) {
    if (r.take<std::int64_t>(names[i]).value_or(0) == 0) continue;
    r.set_input(
        i, r.before("Einsum", {r.input(i)}, attrs({{"equation", std::string("i...j->...ij")}})));
  }
}

// Windows over [batch, spatial..., channel].
void nhwc_max_pool(Rewriter& r) {
  const auto it = r.node.attributes.find("kernel_shape");
  const auto* kernel = it == r.node.attributes.end() || it->second.value == nullptr
                           ? nullptr
                           : std::get_if<std::vector<std::int64_t>>(it->second.value.get());
  if (kernel == nullptr) r.fail("the required attribute 'kernel_shape' is missing");
  const auto spatial = static_cast<std::int64_t>(kernel->size());
  std::vector<std::int64_t> in{0, spatial + 1}, out{0};
  for (std::int64_t i = 1; i <= spatial; ++i) {
    in.push_back(i);
    out.push_back(i + 1);
  }
  out.push_back(1);
  const std::string planes = r.before("Transpose", {r.input(0)}, attrs({{"perm", in}}));
  const std::string y = r.before("MaxPool", {planes}, std::move(r.node.attributes));
  r.become("Transpose", {y}, attrs({{"perm", out}}));
}

constexpr Rule contrib(std::string_view op, void (*apply)(Rewriter&)) {
  return {op, 0, kNewestOpset, apply, kMicrosoft};
}

constexpr Rule kRules[] = {
    contrib("Gelu", gelu),
    contrib("BiasGelu", bias_gelu),
    contrib("FastGelu", fast_gelu),
    contrib("QuickGelu", quick_gelu),
    contrib("SkipLayerNormalization", skip_layer_norm),
    contrib("SkipSimplifiedLayerNormalization", skip_simplified_layer_norm),
    contrib("EmbedLayerNormalization", embed_layer_norm),
    contrib("FusedConv", fused_conv),
    contrib("FusedGemm", fused_gemm),
    contrib("FusedMatMul", fused_matmul),
    contrib("NhwcMaxPool", nhwc_max_pool),
    {"SimplifiedLayerNormalization", 0, kNewestOpset, simplified_layer_norm},
};

}  // namespace

std::span<const Rule> contrib_rules() { return kRules; }

}  // namespace lanewise::onnx
