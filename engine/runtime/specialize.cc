// Shape propagation with folding.
#include "engine/runtime/specialize.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "engine/runtime/evaluate.h"

namespace lanewise {
namespace {

// A folded result may be this much larger than its inputs: an expanded constant is cheaper to make
// at run time than to keep.
constexpr std::int64_t kFoldSlackBytes = std::int64_t{1} << 20;

std::int64_t bytes_of(const ValueInfo& info) {
  return info.present() && info.shape.known()
             ? checked_multiply(info.shape.elements(),
                                static_cast<std::int64_t>(dtype_size(info.dtype)))
             : 0;
}

class Walker {
 public:
  Walker(const Graph& graph, Facts& facts, Folded& folded, const Options& options,
         const LowerContext::SubgraphCompiler& compile)
      : graph_(graph), facts_(facts), folded_(folded), options_(options), compile_(compile) {
    if (options.fuse) find_weights();
  }

  Walk run(int first) {
    Walk walk;
    const int count = static_cast<int>(graph_.nodes.size());
    for (walk.end = first; walk.end < count; ++walk.end) {
      if (!step(walk)) return walk;
    }
    return walk;
  }

 private:
  // Plans the node at walk.end; false when the walk ends before or with it (end then points past).
  bool step(Walk& walk) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(walk.end)];
    if (reuse_folded(walk.end, node)) return true;
    std::vector<ValueInfo> inputs;
    for (ValueId id : node.inputs) inputs.push_back(id == kNoValue ? ValueInfo{} : fact(id));
    std::vector<ValueInfo> outputs;
    try {
      outputs = infer_node(node, inputs);
    } catch (const NeedsData& needs) {
      walk.wanted = node.inputs[static_cast<std::size_t>(needs.input)];
      return false;
    }
    if (foldable(node, inputs, outputs)) {
      fold(walk.end, node, inputs);
      return true;
    }
    walk.nodes.push_back(walk.end);
    bool emits = false;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      emits = emits || !outputs[i].shape.known();
      if (node.outputs[i] == kNoValue) continue;
      // An emitted value's type and shape come with it.
      const auto id = static_cast<std::size_t>(node.outputs[i]);
      facts_.values[id] = outputs[i];
      facts_.fixed[id] = false;
    }
    if (!emits) return true;
    walk.emits = true;
    ++walk.end;
    return false;
  }

  // DequantizeLinear whose result is only multiplied, as weights or bias: passes look for these,
  // and what they leave is folded afterwards.
  void find_weights() {
    std::map<ValueId, const Node*> made;
    for (const Node& node : graph_.nodes) {
      if (op_name(*node.op) == "DequantizeLinear") made[node.outputs[0]] = &node;
    }
    for (const auto& [id, node] : made) weights_.insert(node);
    if (made.empty()) return;
    for (const Node& node : graph_.nodes) {
      const std::string name = op_name(*node.op);
      const bool product = name == "Conv" || name == "Gemm" || name == "MatMul";
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (product && (i == 1 || i == 2)) continue;
        if (const auto at = made.find(node.inputs[i]); at != made.end()) weights_.erase(at->second);
      }
    }
    for (ValueId id : graph_.outputs) {
      if (const auto at = made.find(id); at != made.end()) weights_.erase(at->second);
    }
  }

  const ValueInfo& fact(ValueId id) const { return facts_.values[static_cast<std::size_t>(id)]; }

  bool reuse_folded(int index, const Node& node) {
    const auto known = folded_.by_node.find(index);
    if (known == folded_.by_node.end()) return false;
    learn(node, known->second, true);
    return true;
  }

  bool foldable(const Node& node, const std::vector<ValueInfo>& inputs,
                const std::vector<ValueInfo>& outputs) const {
    if (node.op->impure || weights_.contains(&node)) return false;
    std::int64_t in_bytes = 0, out_bytes = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool shape_only = node.op->shape_only && i == 0;
      if (inputs[i].present() && inputs[i].content == nullptr && !shape_only) return false;
      in_bytes += bytes_of(inputs[i]);
    }
    for (const ValueInfo& info : outputs) out_bytes += bytes_of(info);
    return out_bytes <= in_bytes + kFoldSlackBytes;
  }

  void fold(int index, const Node& node, const std::vector<ValueInfo>& inputs) {
    std::vector<std::shared_ptr<const Tensor>> results;
    for (Tensor& tensor : evaluate_node(node, inputs, options_, compile_)) {
      results.push_back(tensor.defined() ? std::make_shared<const Tensor>(std::move(tensor))
                                         : nullptr);
    }
    const bool fixed = !node.op->shape_only &&
                       std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
                         return id == kNoValue || facts_.fixed[static_cast<std::size_t>(id)];
                       });
    learn(node, results, fixed);
    if (fixed) folded_.by_node[index] = std::move(results);
  }

  void learn(const Node& node, const std::vector<std::shared_ptr<const Tensor>>& contents,
             bool fixed) {
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue || i >= contents.size() || contents[i] == nullptr) continue;
      const auto id = static_cast<std::size_t>(node.outputs[i]);
      facts_.values[id] = {contents[i]->dtype(), contents[i]->shape(), Layout::kPlain, contents[i]};
      facts_.fixed[id] = fixed;
    }
  }

  const Graph& graph_;
  Facts& facts_;
  Folded& folded_;
  const Options& options_;
  const LowerContext::SubgraphCompiler& compile_;
  std::set<const Node*> weights_;
};

}  // namespace

Walk walk_graph(const Graph& graph, int first, Facts& facts, Folded& folded, const Options& options,
                const LowerContext::SubgraphCompiler& compile) {
  return Walker(graph, facts, folded, options, compile).run(first);
}

}  // namespace lanewise
