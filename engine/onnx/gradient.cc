// Gradient of ai.onnx.preview.training: nodes that compute derivatives in reverse (Griewank &
// Walther, Evaluating Derivatives, section 3.2), added to the graph when a file is read.
#include <algorithm>
#include <set>
#include <utility>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

using NameList = std::vector<std::string>;

// Derivatives as far as they are known, by the value they belong to.
class Reverse {
 public:
  explicit Reverse(Rewriter& r) : r_(r) {}

  std::string op(std::string_view name, NameList inputs, AttrMap attributes = {}) {
    return r_.before(name, std::move(inputs), std::move(attributes));
  }
  std::string number(double value, const std::string& like) {
    return r_.number(value, r_.type_of(like));
  }
  std::string filled(double value, const std::string& like) {
    return op("Expand", {number(value, like), op("Shape", {like})});
  }
  std::string product(const std::string& a, const std::string& b) { return op("Mul", {a, b}); }

  // Sums g over the dimensions along which x was broadcast.
  std::string reduced(const std::string& g, const std::string& x) {
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

  void add(const std::string& value, const std::string& derivative) {
    if (!wanted.contains(value)) return;
    std::string& known = derivatives[value];
    known = known.empty() ? derivative : op("Add", {known, derivative});
  }
  // To a value that may have been broadcast.
  void add_broadcast(const std::string& value, const std::string& derivative) {
    if (wanted.contains(value)) add(value, reduced(derivative, value));
  }

  std::set<std::string> wanted;  // values that depend on the variables
  std::map<std::string, std::string> derivatives;

 private:
  Rewriter& r_;
};

struct Visit {
  Reverse& reverse;
  const DraftNode& node;
  const std::string& g;  // derivative of the node's output

  const std::string& x(std::size_t i = 0) const { return node.inputs[i]; }
  const std::string& y() const { return node.outputs[0]; }
  std::int64_t attr(std::string_view name, std::int64_t fallback) const {
    const auto it = node.attributes.find(name);
    const auto* value = it == node.attributes.end() || it->second.value == nullptr
                            ? nullptr
                            : std::get_if<std::int64_t>(it->second.value.get());
    return value == nullptr ? fallback : *value;
  }
  float attr_float(std::string_view name, float fallback) const {
    const auto it = node.attributes.find(name);
    const auto* value = it == node.attributes.end() || it->second.value == nullptr
                            ? nullptr
                            : std::get_if<float>(it->second.value.get());
    return value == nullptr ? fallback : *value;
  }
  std::string op(std::string_view name, NameList inputs, AttrMap attributes = {}) const {
    return reverse.op(name, std::move(inputs), std::move(attributes));
  }
};

using Derive = void (*)(const Visit&);

void identity(const Visit& v) { v.reverse.add(v.x(), v.g); }
void negative(const Visit& v) { v.reverse.add(v.x(), v.op("Neg", {v.g})); }
void sum(const Visit& v) {
  for (const std::string& x : v.node.inputs) v.reverse.add_broadcast(x, v.g);
}
void difference(const Visit& v) {
  v.reverse.add_broadcast(v.x(0), v.g);
  v.reverse.add_broadcast(v.x(1), v.op("Neg", {v.g}));
}
void product(const Visit& v) {
  v.reverse.add_broadcast(v.x(0), v.op("Mul", {v.g, v.x(1)}));
  v.reverse.add_broadcast(v.x(1), v.op("Mul", {v.g, v.x(0)}));
}
void quotient(const Visit& v) {
  const std::string first = v.op("Div", {v.g, v.x(1)});
  v.reverse.add_broadcast(v.x(0), first);
  v.reverse.add_broadcast(v.x(1), v.op("Neg", {v.op("Mul", {first, v.y()})}));
}
void power(const Visit& v) {
  const std::string less = v.op("Sub", {v.x(1), v.reverse.number(1, v.x(1))});
  const std::string slope = v.op("Mul", {v.op("Pow", {v.x(0), less}), v.x(1)});
  v.reverse.add_broadcast(v.x(0), v.op("Mul", {v.g, slope}));
  if (v.reverse.wanted.contains(v.x(1))) {
    const std::string rise = v.op("Mul", {v.y(), v.op("Log", {v.x(0)})});
    v.reverse.add_broadcast(v.x(1), v.op("Mul", {v.g, rise}));
  }
}
void exponential(const Visit& v) { v.reverse.add(v.x(), v.op("Mul", {v.g, v.y()})); }
void logarithm(const Visit& v) { v.reverse.add(v.x(), v.op("Div", {v.g, v.x()})); }
void root(const Visit& v) {
  const std::string half = v.op("Mul", {v.g, v.reverse.number(0.5, v.x())});
  v.reverse.add(v.x(), v.op("Div", {half, v.y()}));
}
void reciprocal(const Visit& v) {
  const std::string square = v.op("Mul", {v.y(), v.y()});
  v.reverse.add(v.x(), v.op("Neg", {v.op("Mul", {v.g, square})}));
}
void sine(const Visit& v) { v.reverse.add(v.x(), v.op("Mul", {v.g, v.op("Cos", {v.x()})})); }
void cosine(const Visit& v) {
  v.reverse.add(v.x(), v.op("Neg", {v.op("Mul", {v.g, v.op("Sin", {v.x()})})}));
}
void magnitude(const Visit& v) { v.reverse.add(v.x(), v.op("Mul", {v.g, v.op("Sign", {v.x()})})); }
void rectifier(const Visit& v) { v.reverse.add(v.x(), v.op("Mul", {v.g, v.op("Sign", {v.y()})})); }
void hyperbolic(const Visit& v) {
  const std::string slope = v.op("Sub", {v.reverse.number(1, v.x()), v.op("Mul", {v.y(), v.y()})});
  v.reverse.add(v.x(), v.op("Mul", {v.g, slope}));
}
void logistic(const Visit& v) {
  const std::string rest = v.op("Sub", {v.reverse.number(1, v.x()), v.y()});
  v.reverse.add(v.x(), v.op("Mul", {v.g, v.op("Mul", {v.y(), rest})}));
}
void reshaped(const Visit& v) {
  v.reverse.add(v.x(), v.op("Reshape", {v.g, v.op("Shape", {v.x()})}));
}
void expanded(const Visit& v) { v.reverse.add_broadcast(v.x(), v.g); }

void transposed(const Visit& v) {
  AttrMap back;
  const auto it = v.node.attributes.find("perm");
  if (it != v.node.attributes.end() && it->second.value != nullptr) {
    if (const auto* perm = std::get_if<std::vector<std::int64_t>>(it->second.value.get())) {
      std::vector<std::int64_t> inverse(perm->size(), 0);
      for (std::size_t i = 0; i < perm->size(); ++i) {
        const auto at = static_cast<std::size_t>((*perm)[i]);
        if (at < inverse.size()) inverse[at] = static_cast<std::int64_t>(i);
      }
      back = attrs({{"perm", inverse}});
    }
  }
  v.reverse.add(v.x(), v.op("Transpose", {v.g}, std::move(back)));
}

void reduced_sum(const Visit& v) {
  const bool axes = v.node.inputs.size() > 1 && !v.x(1).empty();
  const bool kept = v.attr("keepdims", 1) != 0;
  const std::string g = axes && !kept ? v.op("Unsqueeze", {v.g, v.x(1)}) : v.g;
  v.reverse.add(v.x(), v.op("Expand", {g, v.op("Shape", {v.x()})}));
}

void reduced_mean(const Visit& v) {
  const std::string count = v.op("Div", {v.op("Size", {v.x()}), v.op("Size", {v.y()})});
  const std::string divisor = v.op("CastLike", {count, v.g});
  const std::string share = v.op("Div", {v.g, divisor});
  reduced_sum({v.reverse, v.node, share});
}

void matrix_product(const Visit& v) {
  const auto einsum = [&](const std::string& a, const std::string& b, const char* equation) {
    return v.op("Einsum", {a, b}, attrs({{"equation", std::string(equation)}}));
  };
  v.reverse.add_broadcast(v.x(0), einsum(v.g, v.x(1), "...ik,...jk->...ij"));
  v.reverse.add_broadcast(v.x(1), einsum(v.x(0), v.g, "...ji,...jk->...ik"));
}

void gemm(const Visit& v) {
  const std::int64_t a = v.attr("transA", 0) != 0 ? 1 : 0, b = v.attr("transB", 0) != 0 ? 1 : 0;
  const float alpha = v.attr_float("alpha", 1.0f);
  const auto times = [&](const std::string& p, std::int64_t tp, const std::string& q,
                         std::int64_t tq) {
    return v.op("Gemm", {p, q}, attrs({{"alpha", alpha}, {"transA", tp}, {"transB", tq}}));
  };
  v.reverse.add(v.x(0), a == 0 ? times(v.g, 0, v.x(1), 1 - b) : times(v.x(1), b, v.g, 1));
  v.reverse.add(v.x(1), b == 0 ? times(v.x(0), 1 - a, v.g, 0) : times(v.g, 1, v.x(0), a));
  if (v.node.inputs.size() < 3 || v.x(2).empty()) return;
  const std::string beta =
      v.reverse.number(static_cast<double>(v.attr_float("beta", 1.0f)), v.x(2));
  v.reverse.add_broadcast(v.x(2), v.op("Mul", {v.g, beta}));
}

// Results that do not change with small changes of their inputs.
void constant(const Visit&) {}

constexpr std::pair<std::string_view, Derive> kDerivatives[] = {
    {"Abs", magnitude},
    {"Add", sum},
    {"Ceil", constant},
    {"Cos", cosine},
    {"Div", quotient},
    {"Equal", constant},
    {"Exp", exponential},
    {"Expand", expanded},
    {"Flatten", reshaped},
    {"Floor", constant},
    {"Gemm", gemm},
    {"Greater", constant},
    {"Identity", identity},
    {"Less", constant},
    {"Log", logarithm},
    {"MatMul", matrix_product},
    {"Mul", product},
    {"Neg", negative},
    {"NonZero", constant},
    {"Pow", power},
    {"Reciprocal", reciprocal},
    {"ReduceMean", reduced_mean},
    {"ReduceSum", reduced_sum},
    {"Relu", rectifier},
    {"Reshape", reshaped},
    {"Round", constant},
    {"Shape", constant},
    {"Sigmoid", logistic},
    {"Sign", constant},
    {"Sin", sine},
    {"Size", constant},
    {"Sqrt", root},
    {"Squeeze", reshaped},
    {"Sub", difference},
    {"Sum", sum},
    {"Tanh", hyperbolic},
    {"Transpose", transposed},
    {"Unsqueeze", reshaped},
};

Derive find_derivative(const DraftNode& node) {
  for (const auto& [op, derive] : kDerivatives) {
    if (node.domain.empty() && op == node.op) return derive;
  }
  return nullptr;
}

// The nodes between the variables and y, in order; `depends` gathers the values on the way.
std::vector<DraftNode> differentiated(const std::vector<DraftNode>& nodes,
                                      std::set<std::string>& depends, const std::string& y) {
  std::vector<DraftNode> forward;
  for (const DraftNode& node : nodes) {
    const bool touched = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const auto& name) { return depends.contains(name); });
    const bool is_variable = std::any_of(node.outputs.begin(), node.outputs.end(),
                                         [&](const auto& name) { return depends.contains(name); });
    if (!touched || is_variable) continue;
    // Shapes and the like: nothing behind them changes with the variables.
    if (find_derivative(node) == constant && node.outputs[0] != y) continue;
    depends.insert(node.outputs.begin(), node.outputs.end());
    forward.push_back(node);
  }
  std::set<std::string> needed = {y};
  std::vector<DraftNode> result;
  for (auto node = forward.rbegin(); node != forward.rend(); ++node) {
    const bool leads = std::any_of(node->outputs.begin(), node->outputs.end(),
                                   [&](const auto& name) { return needed.contains(name); });
    if (!leads) continue;
    needed.insert(node->inputs.begin(), node->inputs.end());
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
    const std::string made = r.before(node.op, node.inputs, node.attributes);
    values[node.outputs[0]] = made;
    node.outputs = {made};
  }
  const auto it = values.find(y);
  return it == values.end() ? y : it->second;
}

}  // namespace

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
    for (const std::string& input : node.inputs) {
      if (reverse.wanted.contains(input)) reverse.wanted.insert(node.outputs[0]);
    }
  }
  reverse.derivatives[y] = reverse.filled(1.0, y);
  for (auto node = forward.rbegin(); node != forward.rend(); ++node) {
    const auto g = reverse.derivatives.find(node->outputs[0]);
    if (g == reverse.derivatives.end()) continue;
    const std::string derivative = g->second;
    find_derivative (*node)({reverse, *node, derivative});
  }
  for (std::size_t i = r.node.outputs.size(); i-- > 0;) {
    const std::string& x = values[(*xs)[i]];
    const auto known = reverse.derivatives.find(x);
    const std::string result =
        known == reverse.derivatives.end() ? reverse.filled(0.0, x) : known->second;
    r.make_instead(i, "Identity", {result});
  }
}

}  // namespace lanewise::onnx
