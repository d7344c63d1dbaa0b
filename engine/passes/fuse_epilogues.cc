// What follows a convolution, GEMM or normalisation element by element runs on its registers: a
// residual sum (He et al. 2016) and an activation. Fused operators live in the domain "lanewise".
#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

struct FusedForm {
  std::string_view op;
  std::string_view fused;
  std::size_t residual;  // index of the residual input, 0 when the operator takes none
};

constexpr FusedForm kForms[] = {{"Conv", "FusedConv", 3},
                                {"Gemm", "FusedGemm", 0},
                                {"BatchNormalization", "FusedBatchNormalization", 0},
                                {"InstanceNormalization", "FusedInstanceNormalization", 0},
                                {"ConvTranspose", "FusedConvTranspose", 0}};

const FusedForm* form_of(const Node& node) {
  const auto* training = node.attribute<std::int64_t>("training_mode");
  if (training != nullptr && *training != 0) return nullptr;
  for (const FusedForm& form : kForms) {
    const bool plain = node.op->domain.empty() && node.op->name == form.op;
    const bool fused = node.op->domain == "lanewise" && node.op->name == form.fused;
    if ((plain || fused) && find_op("lanewise", form.fused) != nullptr) return &form;
  }
  return nullptr;
}

// The scalar content of an optional constant input, or `fallback`; false when it is not constant.
bool scalar_input(const Graph& graph, const Node& node, std::size_t i, float fallback,
                  float* result) {
  *result = fallback;
  if (i >= node.inputs.size() || node.inputs[i] == kNoValue) return true;
  const Tensor* tensor = graph.value(node.inputs[i]).constant.get();
  if (tensor == nullptr || tensor->dtype() != DType::kFloat32 || tensor->elements() != 1)
    return false;
  *result = *tensor->as<float>();
  return true;
}

float attr_or(const Node& node, std::string_view name, float fallback) {
  const float* value = node.attribute<float>(name);
  return value == nullptr ? fallback : *value;
}

// An activation as the fused operators take it; an empty name means that the node is none.
struct FusedActivation {
  std::string name;
  float alpha = 0, beta = 0;
};

FusedActivation activation_of(const Graph& graph, const Node& node) {
  if (!node.op->domain.empty()) return {};
  const std::string_view op = node.op->name;
  if (op == "Relu" || op == "Sigmoid" || op == "Tanh" || op == "HardSwish")
    return {std::string(op), 0, 0};
  if (op == "LeakyRelu") return {"LeakyRelu", attr_or(node, "alpha", 0.01f), 0};
  if (op == "Elu") return {"Elu", attr_or(node, "alpha", 1.0f), 0};
  if (op == "HardSigmoid")
    return {"HardSigmoid", attr_or(node, "alpha", 0.2f), attr_or(node, "beta", 0.5f)};
  if (op == "Clip") {
    constexpr float kMax = std::numeric_limits<float>::infinity();
    FusedActivation clip{"Clip", 0, 0};
    const bool known = scalar_input(graph, node, 1, -kMax, &clip.alpha) &&
                       scalar_input(graph, node, 2, kMax, &clip.beta);
    return known ? clip : FusedActivation{};
  }
  return {};
}

class Fuser {
 public:
  explicit Fuser(Graph& graph)
      : graph_(graph),
        uses_(count_uses(graph)),
        producer_(producers(graph)),
        erased_(graph.nodes.size()) {}

  void run() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!try_residual(i) && !try_activation(i)) try_silu(i);
    }
    // A fused node stands where its last operand is ready: at the place of the node it absorbed.
    erase_nodes(graph_, erased_);
  }

 private:
  // The index of the only-read float32 producer of `id` that still takes an epilogue, or -1.
  int fusible(ValueId id) const {
    if (id == kNoValue || graph_.value(id).dtype != DType::kFloat32) return -1;
    const int from = producer_[static_cast<std::size_t>(id)];
    if (from < 0 || uses_[static_cast<std::size_t>(id)] != 1) return -1;
    const Node& node = graph_.nodes[static_cast<std::size_t>(from)];
    return form_of(node) != nullptr && !node.attributes.contains("activation") ? from : -1;
  }

  // Moves node `from`, changed into its fused form, to position `to` and gives it its output.
  Node& absorb(int from, std::size_t to) {
    Node fused = std::move(graph_.nodes[static_cast<std::size_t>(from)]);
    const FusedForm* form = form_of(fused);
    fused.op = find_op("lanewise", form->fused);
    fused.outputs[0] = graph_.nodes[to].outputs[0];
    erased_[static_cast<std::size_t>(from)] = true;
    graph_.nodes[static_cast<std::size_t>(from)] = graph_.nodes[to];  // keeps an operator there
    graph_.nodes[to] = std::move(fused);
    producer_[static_cast<std::size_t>(graph_.nodes[to].outputs[0])] = static_cast<int>(to);
    return graph_.nodes[to];
  }

  bool try_residual(std::size_t i) {
    const Node& add = graph_.nodes[i];
    if (!add.op->domain.empty() || add.op->name != "Add" || add.inputs.size() != 2) return false;
    const ValueId a = add.inputs[0], b = add.inputs[1];
    if (a == b || graph_.value(a).shape != graph_.value(b).shape) return false;
    int from =
        std::max(takes_residual(a), takes_residual(b));  // the later one: both operands are ready
    if (from < 0) return false;
    const ValueId other = graph_.nodes[static_cast<std::size_t>(from)].outputs[0] == a ? b : a;
    Node& fused = absorb(from, i);
    fused.inputs.resize(4, kNoValue);
    fused.inputs[3] = other;
    fused.formal_inputs = 4;
    return true;
  }

  int takes_residual(ValueId id) const {
    const int from = fusible(id);
    if (from < 0) return -1;
    const Node& node = graph_.nodes[static_cast<std::size_t>(from)];
    const std::size_t slot = form_of(node)->residual;
    const bool free = slot != 0 && (node.inputs.size() <= slot || node.inputs[slot] == kNoValue);
    return free ? from : -1;
  }

  bool try_activation(std::size_t i) {
    const FusedActivation activation = activation_of(graph_, graph_.nodes[i]);
    if (activation.name.empty()) return false;
    const int from = fusible(graph_.nodes[i].inputs[0]);
    if (from < 0) return false;
    set_activation(absorb(from, i), activation);
    return true;
  }

  // x * sigmoid(x), which files spell as two nodes (SiLU; Elfwing et al. 2018).
  bool try_silu(std::size_t i) {
    const Node& mul = graph_.nodes[i];
    if (!mul.op->domain.empty() || mul.op->name != "Mul" || mul.inputs.size() != 2) return false;
    for (int side = 0; side < 2; ++side) {
      const ValueId x = mul.inputs[static_cast<std::size_t>(side)];
      const ValueId gate = mul.inputs[static_cast<std::size_t>(1 - side)];
      const int sigmoid = producer_[static_cast<std::size_t>(gate)];
      if (sigmoid < 0 || uses_[static_cast<std::size_t>(gate)] != 1) continue;
      const Node& inner = graph_.nodes[static_cast<std::size_t>(sigmoid)];
      if (!inner.op->domain.empty() || inner.op->name != "Sigmoid" || inner.inputs[0] != x)
        continue;
      if (uses_[static_cast<std::size_t>(x)] != 2) continue;
      const int from = producer_[static_cast<std::size_t>(x)];
      if (from < 0 || graph_.value(x).dtype != DType::kFloat32) continue;
      const Node& base = graph_.nodes[static_cast<std::size_t>(from)];
      if (form_of(base) == nullptr || base.attributes.contains("activation")) continue;
      set_activation(absorb(from, i), {"Silu", 0, 0});
      erased_[static_cast<std::size_t>(sigmoid)] = true;
      return true;
    }
    return false;
  }

  static void set_activation(Node& node, const FusedActivation& activation) {
    node.attributes["activation"] = activation.name;
    // Gemm's own alpha and beta are its scales; the epilogue's stand beside them.
    node.attributes["activation_alpha"] = activation.alpha;
    node.attributes["activation_beta"] = activation.beta;
  }

  Graph& graph_;
  std::vector<int> uses_;
  std::vector<int> producer_;
  std::vector<bool> erased_;
};

}  // namespace

void fuse_epilogues(Graph& graph) { Fuser(graph).run(); }

}  // namespace lanewise
