// Channels-last where convolutions and pooling want it. A conversion stands only where a
// row-major operator meets a channels-last value; transposes between the two orders cost nothing.
#include <map>
#include <utility>

#include "engine/graph/layout.h"
#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

bool may_be_channels_last(const Value& value) {
  return value.shape.rank() >= 3 && (value.dtype == DType::kFloat32 ||
                                     value.dtype == DType::kUInt8 || value.dtype == DType::kInt8);
}

// The axes of the shape that memory order walks, outermost first, without those of size one.
std::vector<int> memory_order(const Shape& shape, Layout layout,
                              const std::vector<std::int64_t>* perm) {
  std::vector<int> order(static_cast<std::size_t>(shape.rank()), -1);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int source =
        perm == nullptr ? axis : static_cast<int>((*perm)[static_cast<std::size_t>(axis)]);
    const int place = physical_axis(axis, shape.rank(), layout);
    order[static_cast<std::size_t>(place)] = shape[axis] == 1 ? -1 : source;
  }
  std::erase(order, -1);
  return order;
}

class Assigner {
 public:
  explicit Assigner(Graph& graph)
      : graph_(graph),
        convert_(find_op("lanewise", "ToLayout")),
        reinterpret_(find_op("lanewise", "Reinterpret")) {}

  void run() {
    std::vector<Node> nodes = std::exchange(graph_.nodes, {});
    for (Node& node : nodes) {
      place(node);
      graph_.nodes.push_back(std::move(node));
    }
    // Results leave row-major.
    for (ValueId& id : graph_.outputs) id = in_layout(id, Layout::kPlain);
  }

 private:
  void place(Node& node) {
    if (node.op->domain.empty() && node.op->name == "Transpose" && free_transpose(node)) return;
    switch (node.op->layout) {
      case LayoutRule::kChannels: return place_channels(node);
      case LayoutRule::kFollow: return place_follow(node);
      case LayoutRule::kPlain: break;
    }
    for (ValueId& id : node.inputs) id = in_layout(id, Layout::kPlain);
  }

  void place_channels(Node& node) {
    const bool last = may_be_channels_last(graph_.value(node.inputs[0])) &&
                      may_be_channels_last(graph_.value(node.outputs[0]));
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const bool channels = last && i < 32 && (node.op->channels_inputs >> i & 1u) != 0;
      node.inputs[i] = in_layout(node.inputs[i], channels ? Layout::kChannelsLast : Layout::kPlain);
    }
    graph_.value(node.outputs[0]).layout = last ? Layout::kChannelsLast : Layout::kPlain;
  }

  // Channels-last as soon as one input of the output's rank is.
  void place_follow(Node& node) {
    const Value& out = graph_.value(node.outputs[0]);
    bool last = false;
    for (ValueId id : node.inputs) {
      if (id == kNoValue || graph_.value(id).shape.rank() != out.shape.rank()) continue;
      last = last || graph_.value(id).layout == Layout::kChannelsLast;
    }
    last = last && may_be_channels_last(out);
    const Layout layout = last ? Layout::kChannelsLast : Layout::kPlain;
    for (ValueId& id : node.inputs) {
      const bool full = id != kNoValue &&
                        graph_.value(id).shape.rank() == graph_.value(node.outputs[0]).shape.rank();
      id = in_layout(id, full ? layout : Layout::kPlain);
    }
    for (ValueId id : node.outputs) {
      if (id != kNoValue) graph_.value(id).layout = layout;
    }
  }

  // A transpose whose output, in one of the layouts, has the very bytes of its input.
  bool free_transpose(Node& node) {
    const Value& in = graph_.value(node.inputs[0]);
    Value& out = graph_.value(node.outputs[0]);
    const auto* perm = node.attribute<std::vector<std::int64_t>>("perm");
    if (perm == nullptr || static_cast<int>(perm->size()) != out.shape.rank()) return false;
    const std::vector<int> from = memory_order(in.shape, in.layout, nullptr);
    for (Layout layout : {Layout::kPlain, Layout::kChannelsLast}) {
      if (layout == Layout::kChannelsLast && !may_be_channels_last(out)) continue;
      if (memory_order(out.shape, layout, perm) != from) continue;
      out.layout = layout;
      node.op = reinterpret_;
      node.attributes.clear();
      return true;
    }
    return false;
  }

  ValueId in_layout(ValueId id, Layout layout) {
    if (id == kNoValue) return id;
    const Value& value = graph_.value(id);
    if (value.layout == layout) return id;
    const bool free = same_bytes(value.shape, value.layout, layout);
    return converted(id, layout, free ? reinterpret_ : convert_);
  }

  ValueId converted(ValueId id, Layout layout, const OpDef* op) {
    const auto known = converted_.find(id);
    if (known != converted_.end()) return known->second;
    Value value = graph_.value(id);
    value.layout = layout;
    value.name += layout == Layout::kPlain ? ":plain" : ":channels_last";
    value.constant = nullptr;
    const ValueId result = graph_.add_value(std::move(value));
    Node node;
    node.op = op;
    node.name = graph_.value_name(result);
    node.inputs = {id};
    node.outputs = {result};
    node.formal_inputs = 1;
    graph_.nodes.push_back(std::move(node));
    converted_[id] = result;
    return result;
  }

  Graph& graph_;
  const OpDef* convert_;
  const OpDef* reinterpret_;
  std::map<ValueId, ValueId> converted_;  // a value has one other layout
};

}  // namespace

void assign_layouts(Graph& graph) { Assigner(graph).run(); }

}  // namespace lanewise
