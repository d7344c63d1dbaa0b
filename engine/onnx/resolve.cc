// Building the Graph from a draft, scope by scope.
#include "engine/onnx/resolve.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "engine/graph/op.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

// One graph being built, inside the graphs around it.
struct Scope {
  Scope* parent = nullptr;
  Graph graph;
  std::unordered_map<std::string, ValueId> ids;
  std::unordered_set<ValueId> free;  // graph.overridable
  std::vector<ValueId> captured;  // in the parent's values, one for each input past the formal ones

  ValueId define(Value value) {
    const std::string name = value.name;
    const ValueId id = graph.add_value(std::move(value));
    ids[name] = id;
    return id;
  }
};

Value constant_value(const DraftConstant& constant) {
  Value value;
  value.name = constant.name;
  value.dtype = constant.tensor->dtype();
  value.shape = constant.tensor->shape();
  value.ranked = true;
  value.constant = constant.tensor;
  return value;
}

Value declared_value(const DraftValue& declared) {
  Value value;
  value.name = declared.name;
  value.dtype = declared.dtype;
  value.holds = declared.holds;
  value.shape = declared.shape;
  value.ranked = declared.ranked;
  value.dim_names = declared.dim_names;
  return value;
}

class Resolver {
 public:
  Resolver(const ResolveOptions& options, Problems& problems)
      : options_(options), problems_(problems) {}

  void build(DraftGraph& draft, Scope& scope);

 private:
  ValueId find(Scope& scope, const std::string& name);
  void add_inputs(const DraftGraph& draft, Scope& scope);
  void add_outputs(const DraftGraph& draft, Scope& scope);
  void add_node(DraftNode& draft, Scope& scope);
  void add_attributes(DraftNode& draft, Node& node, Scope& scope);
  Subgraph add_body(DraftGraph& body, Node& node, Scope& scope);

  const ResolveOptions& options_;
  Problems& problems_;
};

// The value of that name, captured from the graphs around when it is theirs.
ValueId Resolver::find(Scope& scope, const std::string& name) {
  if (const auto it = scope.ids.find(name); it != scope.ids.end()) return it->second;
  if (scope.parent == nullptr) return kNoValue;
  const ValueId outer = find(*scope.parent, name);
  if (outer == kNoValue) return kNoValue;
  const Graph& around = scope.parent->graph;
  Value value = around.value(outer);
  const bool fixed = value.constant != nullptr && !scope.parent->free.contains(outer);
  if (!fixed) value.constant = nullptr;
  const ValueId id = scope.define(std::move(value));
  if (!fixed) {
    scope.graph.inputs.push_back(id);
    scope.captured.push_back(outer);
  }
  return id;
}

void Resolver::add_inputs(const DraftGraph& draft, Scope& scope) {
  for (const DraftConstant& constant : draft.constants) {
    if (constant.name.empty()) {
      problems_.errors.push_back("an initializer has no name");
      continue;
    }
    scope.define(constant_value(constant));
  }
  for (const DraftValue& input : draft.inputs) {
    if (input.name.empty()) {
      problems_.errors.push_back("graph " + quoted(draft.name) + ": an input has no name");
      continue;
    }
    if (const auto it = scope.ids.find(input.name); it != scope.ids.end()) {
      const Value& value = scope.graph.value(it->second);
      if (input.dtype != DType::kUndefined && input.dtype != value.dtype) {
        problems_.errors.push_back("input " + quoted(input.name) + " is declared as " +
                                   std::string(dtype_name(input.dtype)) + ", its initializer is " +
                                   std::string(dtype_name(value.dtype)));
      }
      if (options_.overridable) {
        scope.graph.overridable.push_back(it->second);
        scope.free.insert(it->second);
      }
      continue;
    }
    if (input.foreign != nullptr) {
      problems_.unsupported.push_back("input " + quoted(input.name) + ": " + input.foreign +
                                      " (tensors, sequences, optionals and maps are supported)");
    } else if (input.dtype == DType::kUndefined && scope.parent == nullptr) {
      problems_.errors.push_back("input " + quoted(input.name) + " declares no element type");
    }
    scope.graph.inputs.push_back(scope.define(declared_value(input)));
  }
}

void Resolver::add_outputs(const DraftGraph& draft, Scope& scope) {
  if (draft.outputs.empty() && scope.parent == nullptr) {
    problems_.errors.push_back("graph " + quoted(draft.name) + " has no outputs");
  }
  for (const DraftValue& output : draft.outputs) {
    const ValueId id = find(scope, output.name);
    if (id == kNoValue) {
      problems_.errors.push_back("output " + quoted(output.name) + " of graph " +
                                 quoted(draft.name) + " is made by no node; check the names");
      continue;
    }
    Value& value = scope.graph.value(id);
    if (value.dtype == DType::kUndefined && value.constant == nullptr) {
      const Value declared = declared_value(output);
      value.dtype = declared.dtype;
      value.holds = declared.holds;
      value.shape = declared.shape;
      value.ranked = declared.ranked;
      value.dim_names = declared.dim_names;
    }
    scope.graph.outputs.push_back(id);
  }
}

Subgraph Resolver::add_body(DraftGraph& body, Node& node, Scope& scope) {
  Scope inner;
  inner.parent = &scope;
  build(body, inner);
  Subgraph result;
  // Bodies of one node share what they capture.
  std::unordered_map<ValueId, int> places;
  const auto inputs = static_cast<int>(node.inputs.size());
  for (int i = node.formal_inputs; i < inputs; ++i)
    places.emplace(node.inputs[static_cast<std::size_t>(i)], i);
  for (ValueId outer : inner.captured) {
    const auto [place, added] = places.emplace(outer, static_cast<int>(node.inputs.size()));
    if (added) node.inputs.push_back(outer);
    result.captured.push_back(place->second);
  }
  result.graph = std::make_shared<const Graph>(std::move(inner.graph));
  return result;
}

void Resolver::add_attributes(DraftNode& draft, Node& node, Scope& scope) {
  for (auto& [name, attribute] : draft.attributes) {
    if (attribute.value == nullptr) continue;  // reported by check_node
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::shared_ptr<DraftGraph>>) {
            node.attributes.emplace(name, add_body(*value, node, scope));
          } else {
            node.attributes.emplace(name, value);
          }
        },
        *attribute.value);
  }
}

void Resolver::add_node(DraftNode& draft, Scope& scope) {
  Node node;
  node.op = find_op(draft.domain, draft.op);
  // Copies to a device and back, which only plans contain, have no lowering of their own.
  if (node.op != nullptr && node.op->lower == nullptr && !node.op->view) node.op = nullptr;
  if (node.op == nullptr) {
    const std::string domain = draft.domain.empty() ? "ai.onnx" : draft.domain.substr(0, 100);
    problems_.unsupported.push_back("node " + quoted(draft.name) + ": " + draft.op.substr(0, 100) +
                                    " (" + domain + ", opset " + std::to_string(draft.opset) + ")");
  } else {
    check_node(draft, *node.op, problems_);
  }
  for (std::size_t i = 0; i < draft.inputs.size(); ++i) {
    const std::string& name = draft.inputs[i];
    const ValueId id = name.empty() ? kNoValue : find(scope, name);
    if (id == kNoValue && !name.empty()) {
      problems_.errors.push_back(label(draft) + ": input " + std::to_string(i) + " reads " +
                                 quoted(name) + ", which no node, input or initializer provides");
    }
    node.inputs.push_back(id);
  }
  node.formal_inputs = static_cast<int>(node.inputs.size());
  add_attributes(draft, node, scope);
  for (const std::string& name : draft.outputs) {
    if (name.empty()) {
      node.outputs.push_back(kNoValue);
      continue;
    }
    Value value;
    value.name = name;
    node.outputs.push_back(scope.define(std::move(value)));
  }
  node.name = std::move(draft.name);
  scope.graph.nodes.push_back(std::move(node));
}

void Resolver::build(DraftGraph& draft, Scope& scope) {
  scope.graph.name = draft.name;
  add_inputs(draft, scope);
  for (DraftNode& node : draft.nodes) add_node(node, scope);
  add_outputs(draft, scope);
}

}  // namespace

std::shared_ptr<Graph> resolve(DraftGraph draft, const ResolveOptions& options,
                               Problems& problems) {
  Scope scope;
  Resolver(options, problems).build(draft, scope);
  if (!problems.empty()) return nullptr;
  return std::make_shared<Graph>(std::move(scope.graph));
}

}  // namespace lanewise::onnx
