// Gradient of ai.onnx.preview.training: nodes that compute derivatives in reverse (Griewank &
// Walther, Evaluating Derivatives, section 3.2), added to the graph when a file is read.
#include "engine/onnx/gradient.h"

#include <algorithm>
#include <utility>

namespace lanewise::onnx {
namespace {

const Derivative* find_derivative(const DraftNode& node) {
  if (!node.domain.empty()) return nullptr;
  for (const auto& family : {function_derivatives(), moving_derivatives(), layer_derivatives()}) {
    for (const Derivative& known : family) {
      if (known.op == node.op) return &known;
    }
  }
  return nullptr;
}

bool is_constant(const DraftNode& node) {
  const Derivative* known = find_derivative(node);
  return known != nullptr && known->derive == no_derivative;
}

bool any_in(const NameList& names, const std::set<std::string>& set) {
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& name) { return set.contains(name); });
}

void insert_named(const NameList& names, std::set<std::string>& set) {
  for (const std::string& name : names) {
    if (!name.empty()) set.insert(name);
  }
}

// The nodes between the variables and y, in order; `depends` gathers the values on the way.
std::vector<DraftNode> differentiated(const std::vector<DraftNode>& nodes,
                                      std::set<std::string>& depends, const std::string& y) {
  std::vector<DraftNode> forward;
  for (const DraftNode& node : nodes) {
    if (!any_in(node.inputs, depends) || any_in(node.outputs, depends)) continue;
    // Shapes and the like: nothing behind them changes with the variables.
    if (is_constant(node) && node.outputs[0] != y) continue;
    insert_named(node.outputs, depends);
    forward.push_back(node);
  }
  std::set<std::string> needed = {y};
  std::vector<DraftNode> result;
  for (auto node = forward.rbegin(); node != forward.rend(); ++node) {
    if (!any_in(node->outputs, needed)) continue;
    insert_named(node->inputs, needed);
    result.push_back(std::move(*node));
  }
  std::reverse(result.begin(), result.end());
  return result;
}

// The nodes again, for the values that the node is given instead of those it names.
std::string at_inputs(Rewriter& r, std::vector<DraftNode>& nodes,
                      std::map<std::string, std::string> values, const std::string& y) {
  for (DraftNode& node : nodes) {
    for (std::string& input : node.inputs) {
      if (const auto it = values.find(input); it != values.end()) input = it->second;
    }
    const NameList made = r.before_all(node.op, node.inputs, node.outputs.size(), node.attributes);
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (!node.outputs[i].empty()) values[node.outputs[i]] = made[i];
    }
    node.outputs = made;
  }
  const auto it = values.find(y);
  return it == values.end() ? y : it->second;
}

void pass_back(Reverse& reverse, const DraftNode& node) {
  const Derivative& known = *find_derivative(node);
  std::string g;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const auto it = reverse.derivatives.find(node.outputs[i]);
    if (it == reverse.derivatives.end()) continue;
    if (i > 0 && !known.every_output) {
      reverse.unsupported("there is no derivative of output " + std::to_string(i) + " of " +
                          label(node));
    }
    g = it->second;
  }
  if (g.empty()) return;
  const auto first = reverse.derivatives.find(node.outputs[0]);
  if (first != reverse.derivatives.end()) g = first->second;
  known.derive({reverse, node, g});
}

}  // namespace

std::string Reverse::reduced(const std::string& g, const std::string& x) {
  const std::string to = op("Shape", {x}), from = op("Shape", {g});
  const std::string missing = op("Sub", {op("Shape", {from}), op("Shape", {to})});
  const std::string padded =
      op("Concat", {r_.ones(missing), to}, attrs({{"axis", std::int64_t{0}}}));
  const std::string differs = op("Not", {op("Equal", {padded, from})});
  const std::string axes = op("Reshape", {op("NonZero", {differs}), r_.ints({-1})});
  const std::string sum =
      op("ReduceSum", {g, axes}, attrs({{"noop_with_empty_axes", std::int64_t{1}}}));
  return op("Reshape", {sum, to});
}

void Reverse::add(const std::string& value, const std::string& derivative) {
  if (!wanted.contains(value)) return;
  std::string& known = derivatives[value];
  known = known.empty() ? derivative : op("Add", {known, derivative});
}

void Visit::expect_constant(std::size_t i) const {
  if (!wants(i)) return;
  reverse.unsupported("there is no derivative of " + label(node) + " by its input " +
                      std::to_string(i));
}

void no_derivative(const Visit&) {}

void expand_gradient(Rewriter& r, const std::vector<DraftNode>& nodes) {
  const auto xs = r.take<std::vector<std::string>>("xs");
  const NameList zs = r.take<std::vector<std::string>>("zs").value_or(NameList{});
  const auto named = r.take<std::string>("y");
  if (!xs || !named) r.fail("the required attributes 'xs' and 'y' are missing");
  if (r.node.inputs.size() != xs->size() + zs.size() || r.node.outputs.size() > xs->size()) {
    r.fail("needs an input for each of 'xs' and 'zs', and an output for each of 'xs'");
  }
  std::map<std::string, std::string> values;
  bool moved = false;
  for (std::size_t i = 0; i < r.node.inputs.size(); ++i) {
    const std::string& name = i < xs->size() ? (*xs)[i] : zs[i - xs->size()];
    values[name] = r.input(i);
    moved = moved || name != r.input(i);
  }
  Reverse reverse(r);
  std::string y = *named;
  std::set<std::string> depends;
  for (const auto& [name, value] : values) depends.insert(name);
  std::vector<DraftNode> forward = differentiated(nodes, depends, y);
  if (!depends.contains(y)) r.fail("'" + y + "' does not depend on the values that it names");
  for (const DraftNode& node : forward) {
    if (find_derivative(node) == nullptr) {
      r.unsupported("there is no derivative of " + label(node));
    }
  }
  if (moved) y = at_inputs(r, forward, values, y);
  for (const std::string& x : *xs) reverse.wanted.insert(values[x]);
  for (const DraftNode& node : forward) {
    if (any_in(node.inputs, reverse.wanted)) insert_named(node.outputs, reverse.wanted);
  }
  reverse.derivatives[y] = reverse.filled(1.0, y);
  for (auto node = forward.rbegin(); node != forward.rend(); ++node) pass_back(reverse, *node);
  for (std::size_t i = r.node.outputs.size(); i-- > 0;) {
    const std::string& x = values[(*xs)[i]];
    const auto known = reverse.derivatives.find(x);
    const std::string result =
        known == reverse.derivatives.end() ? reverse.filled(0.0, x) : known->second;
    r.make_instead(i, "Identity", {result});
  }
}

}  // namespace lanewise::onnx
