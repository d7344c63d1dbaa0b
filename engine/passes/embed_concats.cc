// Inputs of a concatenation along the channels that are written where the result has them: nothing
// is copied. They lie inside it with gaps between their pixels, so every step that makes or reads
// them must know how (OpDef::pitched). Runs when layouts are decided.
#include <vector>

#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

constexpr int kChannelAxis = 1;

class Embedder {
 public:
  explicit Embedder(Graph& graph)
      : graph_(graph),
        producer_(producers(graph)),
        embeddable_(graph.values.size(), true),
        viewed_(graph.values.size(), false) {
    for (ValueId id : graph.outputs) forbid(id);
    for (const Node& node : graph.nodes) {
      if (node.op->view) viewed_[static_cast<std::size_t>(node.inputs[0])] = true;
      const Pitched can = node.op->pitched == nullptr ? Pitched{} : node.op->pitched(node);
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (i >= 32 || (can.inputs >> i & 1u) == 0) forbid(node.inputs[i]);
      }
      for (std::size_t i = 0; i < node.outputs.size(); ++i) {
        if (i > 0 || !can.output) forbid(node.outputs[i]);
      }
    }
  }

  // The last concatenation first: those before it may lie inside it.
  void run() {
    for (std::size_t i = graph_.nodes.size(); i-- > 0;) {
      const Node& node = graph_.nodes[i];
      if (node.op->domain.empty() && node.op->name == "Concat") embed_inputs(node);
    }
  }

 private:
  void forbid(ValueId id) {
    if (id != kNoValue) embeddable_[static_cast<std::size_t>(id)] = false;
  }

  bool joins_channels(const Node& node) const {
    const Value& out = graph_.value(node.outputs[0]);
    const auto* axis = node.attribute<std::int64_t>("axis");
    if (out.layout != Layout::kChannelsLast || axis == nullptr) return false;
    if (*axis != kChannelAxis && *axis != kChannelAxis - out.shape.rank()) return false;
    return !viewed_[static_cast<std::size_t>(node.outputs[0])];
  }

  void embed_inputs(const Node& concat) {
    if (!joins_channels(concat)) return;
    const ValueId out = concat.outputs[0];
    const Value& whole = graph_.value(out);
    const std::int64_t pitch =
        whole.embedding.within == kNoValue ? whole.shape[kChannelAxis] : whole.embedding.pitch;
    std::int64_t offset = 0;
    for (ValueId id : concat.inputs) {
      Value& part = graph_.value(id);
      const bool made_here = producer_[static_cast<std::size_t>(id)] >= 0;
      if (made_here && embeddable_[static_cast<std::size_t>(id)]) {
        part.embedding = {out, offset, pitch};
        forbid(id);  // it lies in one place, also where it is joined twice
      }
      offset += part.shape[kChannelAxis];
    }
  }

  Graph& graph_;
  std::vector<int> producer_;
  std::vector<bool> embeddable_;
  std::vector<bool> viewed_;  // the same memory under another name: it must be dense
};

}  // namespace

void embed_concats(Graph& graph) { Embedder(graph).run(); }

}  // namespace lanewise
