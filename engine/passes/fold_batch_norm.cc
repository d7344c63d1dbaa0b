// Inference-time batch normalisation (Ioffe and Szegedy 2015) is a scale and a shift per channel:
// after a convolution with constant weights it is part of them.
#include <cmath>
#include <string>
#include <vector>

#include "engine/graph/backing.h"
#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

// The node's constant float32 input i, or null.
const Tensor* constant_input(const Graph& graph, const Node& node, std::size_t i) {
  if (i >= node.inputs.size() || node.inputs[i] == kNoValue) return nullptr;
  const Tensor* tensor = graph.value(node.inputs[i]).constant.get();
  return tensor != nullptr && tensor->dtype() == DType::kFloat32 ? tensor : nullptr;
}

bool is_conv(const Node& node) {
  return node.op->domain.empty() && (node.op->name == "Conv" || node.op->name == "ConvTranspose");
}

// Scale and shift of y = scale * x + shift, per channel, computed in float64.
struct Affine {
  std::vector<double> scale, shift;
};

Affine affine_of(const Graph& graph, const Node& norm) {
  const float* gamma = constant_input(graph, norm, 1)->as<float>();
  const float* beta = constant_input(graph, norm, 2)->as<float>();
  const float* mean = constant_input(graph, norm, 3)->as<float>();
  const Tensor* variance = constant_input(graph, norm, 4);
  const float* epsilon = norm.attribute<float>("epsilon");
  Affine result;
  for (std::int64_t c = 0; c < variance->elements(); ++c) {
    const double scale = gamma[c] / std::sqrt(static_cast<double>(variance->as<float>()[c]) +
                                              (epsilon ? *epsilon : 1e-5f));
    result.scale.push_back(scale);
    result.shift.push_back(beta[c] - scale * mean[c]);
  }
  return result;
}

// The output channel of each weight: dimension 0 of Conv's weights; of ConvTranspose's
// [C, M / group, k...], dimension 1 within the group of dimension 0.
void scale_weights(const Tensor& weights, const std::vector<double>& scales, bool transposed,
                   std::int64_t group, float* to) {
  const Hold hold(weights);
  const float* from = weights.as<float>();
  const std::int64_t d0 = weights.shape()[0], d1 = weights.shape()[1];
  const std::int64_t taps = weights.shape().elements(2, weights.shape().rank());
  for (std::int64_t i = 0; i < d0; ++i) {
    for (std::int64_t j = 0; j < d1; ++j) {
      const std::int64_t channel = transposed ? i / (d0 / group) * d1 + j : i;
      const double scale = scales[static_cast<std::size_t>(channel)];
      const std::int64_t base = (i * d1 + j) * taps;
      for (std::int64_t t = base; t < base + taps; ++t) to[t] = static_cast<float>(from[t] * scale);
    }
  }
}

Tensor scaled_weights(const Tensor& weights, const Affine& affine, bool transposed,
                      std::int64_t group) {
  return derived_constant(DType::kFloat32, weights.shape(),
                          [weights, scales = affine.scale, transposed, group](std::byte* to) {
                            scale_weights(weights, scales, transposed, group,
                                          reinterpret_cast<float*>(to));
                          });
}

Tensor shifted_bias(const Tensor* bias, const Affine& affine) {
  const auto channels = static_cast<std::int64_t>(affine.scale.size());
  Tensor result = Tensor::allocate(DType::kFloat32, Shape{channels});
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double before = bias == nullptr ? 0.0 : bias->as<float>()[c];
    result.mutable_as<float>()[c] = static_cast<float>(before * affine.scale[i] + affine.shift[i]);
  }
  return result;
}

bool foldable(const Graph& graph, const Node& conv, const Node& norm) {
  if (!is_conv(conv) || norm.op->name != "BatchNormalization" || !norm.op->domain.empty())
    return false;
  const auto* training = norm.attribute<std::int64_t>("training_mode");
  if (training != nullptr && *training != 0) return false;
  for (std::size_t i = 1; i <= 4; ++i) {
    if (constant_input(graph, norm, i) == nullptr) return false;
  }
  const Tensor* weights = constant_input(graph, conv, 1);
  const bool has_bias = conv.inputs.size() > 2 && conv.inputs[2] != kNoValue;
  return weights != nullptr && weights->elements() > 0 &&
         (!has_bias || constant_input(graph, conv, 2) != nullptr);
}

ValueId add_constant(Graph& graph, const std::string& name, std::shared_ptr<const Tensor> tensor) {
  Value value;
  value.name = name;
  value.dtype = tensor->dtype();
  value.shape = tensor->shape();
  value.ranked = true;
  value.constant = std::move(tensor);
  return graph.add_value(std::move(value));
}

void fold(Graph& graph, Node& conv, const Node& norm, const ConstantMaker& constants) {
  const auto* group = conv.attribute<std::int64_t>("group");
  const Tensor& weights = *constant_input(graph, conv, 1);
  const Tensor* bias = constant_input(graph, conv, 2);
  const Affine affine = affine_of(graph, norm);
  const bool transposed = conv.op->name == "ConvTranspose";
  // Weights that two nodes share get one folded form for each: the key names the norm's output.
  const std::string key = "bn:" + graph.value_name(norm.outputs[0]);
  const auto folded = constants(weights.id(), key + ":weights", [&] {
    return scaled_weights(weights, affine, transposed, group == nullptr ? 1 : *group);
  });
  const auto shifted =
      constants(weights.id(), key + ":bias", [&] { return shifted_bias(bias, affine); });
  conv.inputs.resize(3, kNoValue);
  conv.inputs[1] = add_constant(graph, graph.value_name(norm.outputs[0]) + ":weights", folded);
  conv.inputs[2] = add_constant(graph, graph.value_name(norm.outputs[0]) + ":bias", shifted);
  conv.formal_inputs = 3;
  conv.outputs[0] = norm.outputs[0];
}

}  // namespace

void fold_batch_norm(Graph& graph, const ConstantMaker& constants) {
  const std::vector<int> uses = count_uses(graph);
  std::vector<int> producer = producers(graph);
  std::vector<bool> erased(graph.nodes.size(), false);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& norm = graph.nodes[i];
    const ValueId input = norm.inputs.empty() ? kNoValue : norm.inputs[0];
    if (norm.outputs.size() != 1 || input == kNoValue) continue;
    const int from = producer[static_cast<std::size_t>(input)];
    if (from < 0 || uses[static_cast<std::size_t>(input)] != 1) continue;
    Node& conv = graph.nodes[static_cast<std::size_t>(from)];
    if (!foldable(graph, conv, norm)) continue;
    fold(graph, conv, norm, constants);
    producer[static_cast<std::size_t>(conv.outputs[0])] = from;
    erased[i] = true;
  }
  erase_nodes(graph, erased);
}

}  // namespace lanewise
