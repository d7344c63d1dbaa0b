// float16 and bfloat16 through operators that compute in float32.
#include <map>
#include <utility>

#include "engine/graph/backing.h"
#include "engine/graph/op.h"
#include "engine/passes/passes.h"

namespace lanewise {
namespace {

class Widener {
 public:
  Widener(Graph& graph, const ConstantMaker& constants)
      : graph_(graph), constants_(constants), cast_(find_op("", "Cast")) {}

  void run() {
    std::vector<Node> nodes = std::exchange(graph_.nodes, {});
    for (Node& node : nodes) {
      const bool widen = !node.op->any_float && touches_narrow(node);
      if (widen) {
        for (ValueId& id : node.inputs) id = wide(id);
      }
      std::vector<std::pair<ValueId, ValueId>> narrowed;  // float32 value, the file's value
      if (widen) {
        for (ValueId& id : node.outputs) {
          if (id == kNoValue || !is_narrow(graph_.value(id).dtype)) continue;
          const ValueId original = id;
          id = add_wide(original);
          wide_[original] = id;
          narrowed.emplace_back(id, original);
        }
      }
      graph_.nodes.push_back(std::move(node));
      for (const auto& [from, to] : narrowed) add_cast(from, to);
    }
    remove_dead(graph_);  // casts back whose results only wide readers wanted
  }

 private:
  bool touches_narrow(const Node& node) const {
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (ValueId id : *list) {
        if (id != kNoValue && is_narrow(graph_.value(id).dtype)) return true;
      }
    }
    return false;
  }

  ValueId add_wide(ValueId id) {
    Value value = graph_.value(id);
    value.name += ":float32";
    value.dtype = DType::kFloat32;
    value.constant = nullptr;
    return graph_.add_value(std::move(value));
  }

  void add_cast(ValueId from, ValueId to) {
    Node cast;
    cast.op = cast_;
    cast.name = graph_.value_name(to) + ":cast";
    cast.inputs = {from};
    cast.outputs = {to};
    cast.formal_inputs = 1;
    cast.attributes["to"] = static_cast<std::int64_t>(graph_.value(to).dtype);
    graph_.nodes.push_back(std::move(cast));
  }

  // The float32 form of a narrow value, made once.
  ValueId wide(ValueId id) {
    if (id == kNoValue || !is_narrow(graph_.value(id).dtype)) return id;
    const auto known = wide_.find(id);
    if (known != wide_.end()) return known->second;
    const ValueId result = add_wide(id);
    if (const auto constant = graph_.value(id).constant) {
      graph_.value(result).constant =
          constants_(constant->id(), "float32", [&] { return widened(*constant); });
    } else {
      add_cast(id, result);
    }
    wide_[id] = result;
    return result;
  }

  static Tensor widened(const Tensor& narrow) {
    return derived_constant(DType::kFloat32, narrow.shape(), [narrow](std::byte* to) {
      const Hold hold(narrow);
      const auto* bits = narrow.as<std::uint16_t>();
      auto* result = reinterpret_cast<float*>(to);
      const bool half = narrow.dtype() == DType::kFloat16;
      for (std::int64_t i = 0; i < narrow.elements(); ++i)
        result[i] = half ? half_to_float(bits[i]) : bfloat_to_float(bits[i]);
    });
  }

  Graph& graph_;
  const ConstantMaker& constants_;
  const OpDef* cast_;
  std::map<ValueId, ValueId> wide_;
};

}  // namespace

bool is_narrow(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

void widen_floats(Graph& graph, const ConstantMaker& constants) { Widener(graph, constants).run(); }

}  // namespace lanewise
