// See fold_dequantised.h.
#include "engine/runtime/fold_dequantised.h"

#include <utility>
#include <vector>

#include "engine/runtime/evaluate.h"

namespace lanewise {

void fold_dequantised(Graph& graph, const ConstantMaker& constants, const Options& options,
                      const LowerContext::SubgraphCompiler& compile) {
  std::vector<bool> folded(graph.nodes.size(), false);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (op_name(*node.op) != "DequantizeLinear") continue;
    std::vector<ValueInfo> inputs;
    bool constant = true;
    for (ValueId id : node.inputs) {
      ValueInfo info;
      if (id != kNoValue) {
        const Value& value = graph.value(id);
        info = {value.dtype, value.shape, value.layout, value.constant};
        constant = constant && value.constant != nullptr;
      }
      inputs.push_back(std::move(info));
    }
    if (!constant) continue;
    Value& value = graph.value(node.outputs[0]);
    value.constant = constants(inputs[0].content->id(), "dequantised:" + value.name, [&] {
      return std::move(evaluate_node(node, inputs, options, compile)[0]);
    });
    folded[i] = true;
  }
  erase_nodes(graph, folded);
}

}  // namespace lanewise
