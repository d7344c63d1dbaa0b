// Dividing a plan between the host and a device.
#include "engine/runtime/partition.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/base/error.h"
#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

// Integers up to this count that the host has made stay there: shapes, axes, indices.
constexpr std::int64_t kSmallElements = 4096;

class Divider {
 public:
  Divider(Graph& graph, const Options& options, SharedWeights& weights,
          const std::set<const void*>& lasting, const LowerContext::SubgraphCompiler& compile)
      : graph_(graph),
        options_(options),
        weights_(weights),
        lasting_(lasting),
        compile_(compile),
        to_device_(find_op("lanewise", "ToDevice")),
        to_host_(find_op("lanewise", "ToHost")),
        cast_(find_op("", "Cast")) {}

  Partition run() {
    partition_.values.assign(graph_.values.size(), false);
    std::vector<Node> nodes = std::exchange(graph_.nodes, {});
    for (Node& node : nodes) place(node);
    for (ValueId& id : graph_.outputs) id = on_host(id);
    group_sides();
    return std::move(partition_);
  }

 private:
  bool on_device(ValueId id) const {
    return id != kNoValue && partition_.values[static_cast<std::size_t>(id)];
  }
  void add(Node node, PlacedNode placed) {
    graph_.nodes.push_back(std::move(node));
    partition_.nodes.push_back(std::move(placed));
  }
  ValueId add_value(Value value, bool device) {
    partition_.values.push_back(device);
    return graph_.add_value(std::move(value));
  }

  DType device_type(DType dtype) const {
    return dtype == DType::kFloat32 ? options_.backend->float_type() : dtype;
  }

  ValueInfo device_info(ValueId id) const {
    if (id == kNoValue) return {};
    const Value& value = graph_.value(id);
    return {device_type(value.dtype), value.shape, value.layout, value.constant, {}};
  }

  void place(Node& node) {
    if (node.op->view) {
      const bool device = on_device(node.inputs[0]);
      if (device) mark_outputs(node);
      for (std::size_t i = 1; i < node.inputs.size(); ++i) node.inputs[i] = kNoValue;
      return add(std::move(node), {device, std::nullopt, {}});
    }
    PlacedNode placed = decide(node);
    if (placed.on_device) {
      for (ValueId& id : node.inputs) id = here(id);
      mark_outputs(node);
    } else {
      for (ValueId& id : node.inputs) id = on_host(id);
    }
    add(std::move(node), std::move(placed));
  }

  void mark_outputs(const Node& node) {
    for (ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      partition_.values[static_cast<std::size_t>(id)] = true;
      Value& value = graph_.value(id);
      if (device_type(value.dtype) != value.dtype) narrowed_.insert(id);
      value.dtype = device_type(value.dtype);
    }
  }

  // Why the host runs the node whatever the device can do, or nothing.
  std::string kept_on_host(const Node& node) const {
    bool small = true, fed = false;
    for (ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      const Value& value = graph_.value(id);
      if (value.dtype == DType::kString || is_container(value.dtype)) return "it makes no tensor";
      if (!value.shape.known()) return "the shape of its result depends on data";
      if (value.shape.elements() == 0) return "its result is empty";
      small = small && !is_floating(value.dtype) && value.shape.elements() <= kSmallElements;
    }
    for (ValueId id : node.inputs) {
      if (id == kNoValue) continue;
      const Value& value = graph_.value(id);
      if (value.dtype == DType::kString || is_container(value.dtype)) return "it reads no tensors";
      if (value.shape.elements() == 0 && value.constant == nullptr)
        return "one of its inputs is empty";
      fed = fed || on_device(id);
    }
    return small && !fed ? "small integers stay on the host" : "";
  }

  // Asks the device; the inputs that its step has packed are taken from the node.
  PlacedNode decide(Node& node) {
    if (std::string reason = kept_on_host(node); !reason.empty())
      return {false, std::nullopt, std::move(reason)};
    std::vector<ValueInfo> inputs, outputs;
    for (ValueId id : node.inputs) inputs.push_back(device_info(id));
    for (ValueId id : node.outputs) outputs.push_back(device_info(id));
    PlanWeights cache(weights_, lasting_);
    const LowerOptions lowering{options_.isa, options_.threads, options_.numerics,
                                forced(options_, node)};
    const LowerContext context(node, inputs, outputs, lowering, cache, compile_);
    Backend::Lowered lowered = options_.backend->lower(context);
    if (auto* reason = std::get_if<std::string>(&lowered))
      return {false, std::nullopt, std::move(*reason)};
    cache.forget_packed(graph_, node);
    // There is no memory of no bytes on a device; the lowering has seen that they are empty.
    for (ValueId& id : node.inputs) {
      if (id != kNoValue && graph_.value(id).shape.elements() == 0) id = kNoValue;
    }
    return {true, std::move(std::get<Step>(lowered)), {}};
  }

  // The value as device nodes read it.
  ValueId here(ValueId id) {
    if (id == kNoValue || on_device(id)) return id;
    const auto known = device_copies_.find(id);
    if (known != device_copies_.end()) return known->second;
    Value value = graph_.value(id);
    value.name += ":device";
    const DType wanted = device_type(value.dtype);
    ValueId copy = kNoValue;
    if (value.constant != nullptr) {
      value.dtype = wanted;
      copy = add_value(std::move(value), true);
    } else {
      value.embedding = {};
      copy = add_value(std::move(value), true);
      add_one(to_device_, id, copy);
      copy = converted(copy, wanted);
    }
    device_copies_[id] = copy;
    return copy;
  }

  // The value as the host reads it.
  ValueId on_host(ValueId id) {
    if (!on_device(id)) return id;
    const auto known = host_copies_.find(id);
    if (known != host_copies_.end()) return known->second;
    const ValueId wide = narrowed_.contains(id) ? converted(id, DType::kFloat32) : id;
    Value value = graph_.value(wide);
    value.name += ":host";
    const ValueId copy = add_value(std::move(value), false);
    add_one(to_host_, wide, copy);
    host_copies_[id] = copy;
    return copy;
  }

  // A cast on the device, unless the value is of that type.
  ValueId converted(ValueId id, DType dtype) {
    if (graph_.value(id).dtype == dtype) return id;
    Value value = graph_.value(id);
    value.name += ":" + std::string(dtype_name(dtype));
    value.dtype = dtype;
    const ValueId result = add_value(std::move(value), true);
    Node node = make_node(cast_, id, result);
    node.attributes["to"] = static_cast<std::int64_t>(dtype);
    const std::vector<ValueInfo> in{raw_info(id)}, out{raw_info(result)};
    PlanWeights cache(weights_, lasting_);
    const LowerOptions lowering{options_.isa, options_.threads, options_.numerics, {}};
    const LowerContext context(node, in, out, lowering, cache, compile_);
    Backend::Lowered lowered = options_.backend->lower(context);
    if (const auto* reason = std::get_if<std::string>(&lowered))
      throw DeviceError("the device cannot convert its own floats: " + *reason);
    add(std::move(node), {true, std::move(std::get<Step>(lowered)), {}});
    return result;
  }

  ValueInfo raw_info(ValueId id) const {
    const Value& value = graph_.value(id);
    return {value.dtype, value.shape, value.layout, nullptr, {}};
  }

  Node make_node(const OpDef* op, ValueId from, ValueId to) const {
    Node node;
    node.op = op;
    node.name = graph_.value_name(to);
    node.inputs = {from};
    node.outputs = {to};
    node.formal_inputs = 1;
    return node;
  }

  void add_one(const OpDef* op, ValueId from, ValueId to) {
    add(make_node(op, from, to), {true, std::nullopt, {}});
  }

  void group_sides();

  Graph& graph_;
  const Options& options_;
  SharedWeights& weights_;
  const std::set<const void*>& lasting_;
  const LowerContext::SubgraphCompiler& compile_;
  const OpDef* to_device_;
  const OpDef* to_host_;
  const OpDef* cast_;
  Partition partition_;
  std::map<ValueId, ValueId> device_copies_, host_copies_;
  std::set<ValueId> narrowed_;  // float32 in the model, halves on the device
};

// Takes nodes that are ready from the host's side as long as there are any, then from the device's,
// and so on, each in the order of the graph.
void Divider::group_sides() {
  const std::vector<int> producer = producers(graph_);
  const std::size_t count = graph_.nodes.size();
  std::vector<int> missing(count, 0);
  std::vector<std::vector<std::size_t>> readers(count);
  std::set<std::size_t> ready[2];
  const auto side = [&](std::size_t i) { return partition_.nodes[i].on_device ? 1 : 0; };
  for (std::size_t i = 0; i < count; ++i) {
    for (ValueId id : graph_.nodes[i].inputs) {
      const int from = id == kNoValue ? -1 : producer[static_cast<std::size_t>(id)];
      if (from < 0) continue;
      readers[static_cast<std::size_t>(from)].push_back(i);
      ++missing[i];
    }
    if (missing[i] == 0) ready[side(i)].insert(i);
  }
  Partition grouped;
  std::vector<Node> nodes;
  int now = 0;
  while (nodes.size() < count) {
    if (ready[now].empty()) now = 1 - now;
    const std::size_t i = *ready[now].begin();
    ready[now].erase(ready[now].begin());
    nodes.push_back(std::move(graph_.nodes[i]));
    grouped.nodes.push_back(std::move(partition_.nodes[i]));
    for (std::size_t reader : readers[i]) {
      if (--missing[reader] == 0) ready[side(reader)].insert(reader);
    }
  }
  graph_.nodes = std::move(nodes);
  partition_.nodes = std::move(grouped.nodes);
}

}  // namespace

Partition divide(Graph& graph, const Options& options, SharedWeights& weights,
                 const std::set<const void*>& lasting,
                 const LowerContext::SubgraphCompiler& compile) {
  return Divider(graph, options, weights, lasting, compile).run();
}

}  // namespace lanewise
