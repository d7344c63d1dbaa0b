// The rewriter's means, and the pass that applies the rules.
#include "engine/onnx/upgrade.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/base/error.h"
#include "engine/onnx/resolve.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

using RuleMap = std::unordered_map<std::string_view, std::vector<const Rule*>>;

const RuleMap& rules() {
  static const RuleMap map = [] {
    RuleMap result;
    for (const auto& family :
         {shape_rules(), math_rules(), nn_rules(), resample_rules(), removed_rules(),
          control_rules(), contrib_rules(), contrib_attention_rules(), contrib_quant_rules()}) {
      for (const Rule& rule : family) result[rule.op].push_back(&rule);
    }
    return result;
  }();
  return map;
}

const Rule* rule_for(const DraftNode& node) {
  const auto it = rules().find(node.op);
  if (it == rules().end()) return nullptr;
  const Rule* best = nullptr;
  for (const Rule* rule : it->second) {
    const bool meets =
        rule->domain == node.domain && rule->first <= node.version && node.version <= rule->last;
    if (meets && (best == nullptr || rule->last < best->last)) best = rule;
  }
  return best;
}

// Element type of a node's first output where the operator alone or its inputs decide it.
DType result_type(const DraftNode& node, const Rewriting& state) {
  static constexpr std::array<std::string_view, 10> kBool = {
      "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And",
      "Or",    "Xor",     "Not",  "IsNaN"};
  static constexpr std::array<std::string_view, 6> kInt64 = {
      "Shape", "Size", "NonZero", "ArgMax", "ArgMin", "NonMaxSuppression"};
  const auto is_in = [&](const auto& list) {
    return std::find(list.begin(), list.end(), node.op) != list.end();
  };
  if (is_in(kBool)) return DType::kBool;
  if (is_in(kInt64)) return DType::kInt64;
  const auto to = node.attributes.find("to");
  if (to != node.attributes.end() && to->second.value != nullptr) {
    const auto* code = std::get_if<std::int64_t>(to->second.value.get());
    return code != nullptr && is_dtype(*code) ? static_cast<DType>(*code) : DType::kUndefined;
  }
  const std::size_t decisive = node.op == "OneHot"                           ? 2
                               : node.op == "Where" || node.op == "CastLike" ? 1
                                                                             : 0;
  if (decisive >= node.inputs.size() || node.op == "If" || node.op == "Loop" || node.op == "Scan") {
    return DType::kUndefined;
  }
  const auto known = state.types.find(node.inputs[decisive]);
  return known == state.types.end() ? DType::kUndefined : known->second;
}

void note_types(const DraftNode& node, Rewriting& state) {
  if (node.outputs.empty() || node.outputs[0].empty()) return;
  const auto hint = state.graph.hints.find(node.outputs[0]);
  const DType type = hint != state.graph.hints.end() ? hint->second : result_type(node, state);
  if (type != DType::kUndefined) state.types[node.outputs[0]] = type;
}

Tensor constant_of(Rewriter& r) {
  if (auto value = r.take<Tensor>("value")) return *value;
  if (auto value = r.take<Tensor>("sparse_value")) return *value;
  if (auto value = r.take<float>("value_float")) return Tensor::scalar(*value);
  if (auto value = r.take<std::int64_t>("value_int")) return Tensor::scalar(*value);
  if (auto value = r.take<std::string>("value_string")) return Tensor::scalar(*value);
  if (auto value = r.take<std::vector<float>>("value_floats")) {
    return Tensor::from(std::span<const float>(*value));
  }
  if (auto value = r.take<std::vector<std::int64_t>>("value_ints")) {
    return Tensor::from(std::span<const std::int64_t>(*value));
  }
  if (auto value = r.take<std::vector<std::string>>("value_strings")) {
    return Tensor::from(std::span<const std::string>(*value));
  }
  r.fail("has no value");
}

// "Conv", or "com.microsoft:Conv".
void set_operator(DraftNode& node, std::string_view op) {
  const std::size_t colon = op.find(':');
  node.domain = colon == std::string_view::npos ? "" : op.substr(0, colon);
  node.op = colon == std::string_view::npos ? op : op.substr(colon + 1);
}

void upgrade_node(DraftNode node, Rewriting& state, Problems& problems) {
  Rewriter rewriter(node, state);
  const bool had_outputs = !node.outputs.empty();
  try {
    // Hints of a defunct memory planner, in every operator of the first opsets.
    if (node.domain.empty() && node.version < 6) rewriter.drop("consumed_inputs");
    while (const Rule* rule = rule_for(node)) {
      node.version = rule->last + 1;
      rule->apply(rewriter);
    }
    if (node.domain == "ai.onnx.preview.training" && node.op == "Gradient") {
      expand_gradient(rewriter, std::vector<DraftNode>(state.out));
    }
    if (node.domain.empty() && node.op == "Constant" && node.outputs.size() == 1) {
      auto tensor = std::make_shared<const Tensor>(constant_of(rewriter));
      state.types[node.outputs[0]] = tensor->dtype();
      state.constants[node.outputs[0]] = tensor;
      state.graph.constants.push_back({node.outputs[0], std::move(tensor)});
      return;
    }
  } catch (const UnsupportedError& error) {
    problems.unsupported.push_back(error.what());
  } catch (const ModelError& error) {
    problems.errors.push_back(error.what());
  }
  if (had_outputs && node.outputs.empty()) return;  // others make what it made
  note_types(node, state);
  state.out.push_back(std::move(node));
}

void normalise_graph(DraftGraph& graph, const Rewriting* parent, Names& names, Problems& problems) {
  if (!sort_nodes(graph, problems)) return;
  Rewriting state{.parent = parent, .graph = graph, .names = names};
  for (const DraftValue& input : graph.inputs) {
    state.types[input.name] = is_container(input.dtype) ? DType::kUndefined : input.dtype;
  }
  for (const DraftConstant& constant : graph.constants) {
    state.types[constant.name] = constant.tensor->dtype();
    state.constants[constant.name] = constant.tensor;
  }
  // The caller may replace these: their content is not to be relied on.
  for (const DraftValue& input : graph.inputs) state.constants.erase(input.name);
  std::vector<DraftNode> nodes = std::move(graph.nodes);
  state.out.reserve(nodes.size());
  for (DraftNode& node : nodes) {
    for (auto& [name, attribute] : node.attributes) {
      if (attribute.value == nullptr) continue;
      if (const auto* body = std::get_if<std::shared_ptr<DraftGraph>>(attribute.value.get())) {
        normalise_graph(**body, &state, names, problems);
      }
    }
    upgrade_node(std::move(node), state, problems);
  }
  graph.nodes = std::move(state.out);
}

}  // namespace

void normalise(DraftGraph& graph, Problems& problems) {
  Names names(graph);
  normalise_graph(graph, nullptr, names, problems);
}

AttrMap attrs(std::initializer_list<std::pair<std::string, AttrValue>> values) {
  AttrMap map;
  for (const auto& [name, value] : values) {
    map[name].value = std::make_shared<const AttrValue>(value);
  }
  return map;
}

const std::string& Rewriter::input(std::size_t i) const {
  if (!has_input(i)) fail("input " + std::to_string(i) + " is required and left out");
  return node.inputs[i];
}

void Rewriter::drop(std::string_view name) {
  const auto it = node.attributes.find(name);
  if (it != node.attributes.end()) node.attributes.erase(it);
}

void Rewriter::set(std::string_view name, AttrValue value) {
  node.attributes[std::string(name)] = {std::make_shared<const AttrValue>(std::move(value)), ""};
}

void Rewriter::set_default(std::string_view name, AttrValue value) {
  if (!has(name)) set(name, std::move(value));
}

void Rewriter::set_input(std::size_t i, std::string name) {
  if (node.inputs.size() <= i) node.inputs.resize(i + 1);
  node.inputs[i] = std::move(name);
}

void Rewriter::ints_to_input(std::string_view attribute, std::size_t i) {
  if (auto values = take<std::vector<std::int64_t>>(attribute))
    set_input(i, ints(std::move(*values)));
}

std::string Rewriter::constant(Tensor tensor) {
  std::string name = state_.names.fresh(node.name + "/constant");
  auto shared = std::make_shared<const Tensor>(std::move(tensor));
  state_.types[name] = shared->dtype();
  state_.constants[name] = shared;
  state_.graph.constants.push_back({name, std::move(shared)});
  return name;
}

std::string Rewriter::ints(std::vector<std::int64_t> values) {
  return constant(Tensor::from(std::span<const std::int64_t>(values)));
}

Tensor Rewriter::numbers(std::span<const double> values, DType dtype) const {
  Tensor tensor = Tensor::allocate(dtype, Shape{static_cast<std::int64_t>(values.size())});
  const bool ok = visit_scalar(dtype, [&]<class T>(std::type_identity<T>) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        const auto least = static_cast<double>(std::numeric_limits<T>::min());
        const auto most = static_cast<double>(std::numeric_limits<T>::max());
        const double value = std::isnan(values[i]) ? 0.0 : values[i];
        // The largest 64-bit integers round up as doubles.
        tensor.mutable_as<T>()[i] = value >= most    ? std::numeric_limits<T>::max()
                                    : value <= least ? std::numeric_limits<T>::min()
                                                     : static_cast<T>(value);
      } else if constexpr (sizeof(T) < 4) {
        tensor.mutable_as<T>()[i] = T(static_cast<float>(values[i]));
      } else {
        tensor.mutable_as<T>()[i] = static_cast<T>(values[i]);
      }
    }
  });
  if (!ok) fail("cannot be computed on elements of type " + std::string(dtype_name(dtype)));
  return tensor;
}

std::string Rewriter::floats(const std::vector<float>& values, DType dtype) {
  return constant(numbers(std::vector<double>(values.begin(), values.end()), dtype));
}

std::string Rewriter::number(double value, DType dtype) {
  return constant(numbers({&value, 1}, dtype).reshaped(Shape{}));
}

std::string Rewriter::before(std::string_view op, std::vector<std::string> inputs,
                             AttrMap attributes) {
  return before_all(op, std::move(inputs), 1, std::move(attributes))[0];
}

std::vector<std::string> Rewriter::before_all(std::string_view op, std::vector<std::string> inputs,
                                              std::size_t outputs, AttrMap attributes) {
  DraftNode added;
  set_operator(added, op);
  added.opset = node.opset;
  added.version = kNewestOpset;
  added.name = state_.names.fresh(node.name + "/" + std::string(op));
  added.inputs = std::move(inputs);
  added.outputs = {added.name};
  while (added.outputs.size() < outputs) added.outputs.push_back(state_.names.fresh(added.name));
  added.attributes = std::move(attributes);
  note_types(added, state_);
  state_.out.push_back(std::move(added));
  return state_.out.back().outputs;
}

std::string Rewriter::rank_of(const std::string& value) {
  return before("Shape", {before("Shape", {value})});
}

std::string Rewriter::ones(const std::string& count) {
  const std::int64_t one = 1;
  const Tensor value = Tensor::from(std::span<const std::int64_t>(&one, 1));
  return before("ConstantOfShape", {count}, attrs({{"value", value}}));
}

std::string Rewriter::append_dims(const std::string& value, const std::string& count) {
  const std::string shape =
      before("Concat", {before("Shape", {value}), ones(count)}, attrs({{"axis", std::int64_t{0}}}));
  return before("Reshape", {value, shape});
}

void Rewriter::become(std::string_view op, std::vector<std::string> inputs, AttrMap attributes) {
  set_operator(node, op);
  node.version = kNewestOpset;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
}

void Rewriter::make_instead(std::size_t output, std::string_view op,
                            std::vector<std::string> inputs, AttrMap attributes) {
  if (output >= node.outputs.size() || node.outputs[output].empty()) return;
  before(op, std::move(inputs), std::move(attributes));
  DraftNode& added = state_.out.back();
  std::swap(added.outputs[0], node.outputs[output]);
  node.outputs[output].clear();
  note_types(added, state_);
  while (!node.outputs.empty() && node.outputs.back().empty()) node.outputs.pop_back();
}

DType Rewriter::type_of(const std::string& value) const {
  for (const Rewriting* state = &state_; state != nullptr; state = state->parent) {
    const auto it = state->types.find(value);
    if (it != state->types.end() && it->second != DType::kUndefined) return it->second;
  }
  return DType::kFloat32;
}

const Tensor* Rewriter::content(const std::string& value) const {
  for (const Rewriting* state = &state_; state != nullptr; state = state->parent) {
    if (const auto it = state->constants.find(value); it != state->constants.end())
      return it->second.get();
    if (state->types.contains(value)) return nullptr;
  }
  return nullptr;
}

void Rewriter::fail(const std::string& what) const { throw ModelError(label(node) + ": " + what); }

void Rewriter::unsupported(const std::string& what) const {
  const std::string text = label(node) + ": " + what;
  throw UnsupportedError(text, {text});
}

}  // namespace lanewise::onnx
