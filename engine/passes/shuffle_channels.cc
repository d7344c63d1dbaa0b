// Files spell a channel shuffle (Zhang et al. 2018) as Reshape, Transpose and Reshape through a
// rank that has no channels-last form: here it becomes one operator that has. A Concat of the
// groups before it and a Split after it (Ma et al. 2018) become part of it.
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

class Shuffler {
 public:
  explicit Shuffler(Graph& graph)
      : graph_(graph),
        op_(find_op("lanewise", "ChannelShuffle")),
        uses_(count_uses(graph)),
        producer_(producers(graph)),
        erased_(graph.nodes.size()) {}

  void run() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) try_shuffle(i);
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) try_split(i);
    erase_nodes(graph_, erased_);
  }

 private:
  static bool is(const Node& node, std::string_view name) {
    return node.op->domain.empty() && node.op->name == name;
  }

  // The index of the node of that name that makes `id` for one reader alone, or -1.
  int only_source(ValueId id, std::string_view name) const {
    if (id == kNoValue || uses_[static_cast<std::size_t>(id)] != 1) return -1;
    const int from = producer_[static_cast<std::size_t>(id)];
    return from >= 0 && is(graph_.nodes[static_cast<std::size_t>(from)], name) ? from : -1;
  }

  // [N, C, ...] -> [N, g, C / g, ...] -> [N, C / g, g, ...] -> [N, C, ...]; node `i` is the last.
  void try_shuffle(std::size_t i) {
    if (!is(graph_.nodes[i], "Reshape")) return;
    const int transpose = only_source(graph_.nodes[i].inputs[0], "Transpose");
    if (transpose < 0) return;
    const Node& swap = graph_.nodes[static_cast<std::size_t>(transpose)];
    const int reshape = only_source(swap.inputs[0], "Reshape");
    if (reshape < 0) return;
    const ValueId x = graph_.nodes[static_cast<std::size_t>(reshape)].inputs[0];
    const Shape& in = graph_.value(x).shape;
    const Shape& middle = graph_.value(swap.inputs[0]).shape;
    if (graph_.value(graph_.nodes[i].outputs[0]).shape != in) return;
    if (!splits_channels(in, middle) || !swaps_groups(swap, middle.rank())) return;

    Node shuffle;
    shuffle.op = op_;
    shuffle.name = swap.name;
    shuffle.inputs = {x};
    shuffle.outputs = graph_.nodes[i].outputs;
    shuffle.attributes["groups"] = middle[1];
    erased_[static_cast<std::size_t>(transpose)] = erased_[static_cast<std::size_t>(reshape)] =
        true;
    take_concat(shuffle, middle[1]);
    shuffle.formal_inputs = static_cast<int>(shuffle.inputs.size());
    graph_.nodes[i] = std::move(shuffle);
  }

  static bool splits_channels(const Shape& in, const Shape& middle) {
    if (in.rank() < 3 || middle.rank() != in.rank() + 1 || middle[0] != in[0]) return false;
    for (int axis = 2; axis < in.rank(); ++axis) {
      if (middle[axis + 1] != in[axis]) return false;
    }
    return middle[1] > 1 && in.elements() > 0;
  }

  static bool swaps_groups(const Node& transpose, int rank) {
    const auto* perm = transpose.attribute<std::vector<std::int64_t>>("perm");
    if (perm == nullptr || static_cast<int>(perm->size()) != rank) return false;
    for (int axis = 0; axis < rank; ++axis) {
      const int wanted = axis == 1 || axis == 2 ? 3 - axis : axis;
      if ((*perm)[static_cast<std::size_t>(axis)] != wanted) return false;
    }
    return true;
  }

  // The groups themselves as inputs, where a Concat of just them makes the input.
  void take_concat(Node& shuffle, std::int64_t groups) {
    const int from = only_source(shuffle.inputs[0], "Concat");
    if (from < 0) return;
    const Node& concat = graph_.nodes[static_cast<std::size_t>(from)];
    if (static_cast<std::int64_t>(concat.inputs.size()) != groups || !along_channels(concat))
      return;
    for (ValueId id : concat.inputs) {
      if (graph_.value(id).shape != graph_.value(concat.inputs[0]).shape) return;
    }
    shuffle.inputs = concat.inputs;
    erased_[static_cast<std::size_t>(from)] = true;
  }

  // The parts themselves as outputs, where node `i` splits a shuffle alike.
  void try_split(std::size_t i) {
    const Node& split = graph_.nodes[i];
    if (!is(split, "Split") || !along_channels(split)) return;
    const ValueId x = split.inputs[0];
    const int from = producer_[static_cast<std::size_t>(x)];
    if (from < 0 || uses_[static_cast<std::size_t>(x)] != 1) return;
    Node& shuffle = graph_.nodes[static_cast<std::size_t>(from)];
    if (shuffle.op != op_ || shuffle.outputs.size() != 1) return;
    const auto parts = static_cast<std::int64_t>(split.outputs.size());
    for (ValueId id : split.outputs) {
      if (id == kNoValue || graph_.value(id).shape != graph_.value(split.outputs[0]).shape) return;
    }
    const std::int64_t count =
        graph_.value(x).shape[1] / *shuffle.attribute<std::int64_t>("groups");
    if (count % parts != 0) return;
    shuffle.outputs = split.outputs;
    erased_[i] = true;
  }

  bool along_channels(const Node& node) const {
    const auto* axis = node.attribute<std::int64_t>("axis");
    const int rank = graph_.value(node.outputs[0]).shape.rank();
    return axis != nullptr && (*axis == 1 || *axis == 1 - rank);
  }

  Graph& graph_;
  const OpDef* op_;
  std::vector<int> uses_;
  std::vector<int> producer_;
  std::vector<bool> erased_;
};

}  // namespace

void shuffle_channels(Graph& graph) { Shuffler(graph).run(); }

}  // namespace lanewise
