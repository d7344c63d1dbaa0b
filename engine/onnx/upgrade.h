// Normalising a draft: nodes of old opsets become nodes of the newest one, Constant nodes become
// constants. The rewrites stand in upgrade_*.cc, one file per family, as tables.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/onnx/draft.h"

namespace lanewise::onnx {

// Sorts and rewrites the graph and its bodies in place.
void normalise(DraftGraph& graph, Problems& problems);

// A graph while its nodes are rewritten one by one, in order.
struct Rewriting {
  const Rewriting* parent = nullptr;
  DraftGraph& graph;
  Names& names;
  std::vector<DraftNode> out = {};
  std::unordered_map<std::string, DType> types = {};  // element types as far as they are known
  std::unordered_map<std::string, std::shared_ptr<const Tensor>> constants = {};
};

// What a rewrite works with: one node, and the means to put others before and after it.
class Rewriter {
 public:
  Rewriter(DraftNode& subject, Rewriting& rewriting) : node(subject), state_(rewriting) {}

  DraftNode& node;

  bool has(std::string_view name) const { return node.attributes.contains(name); }
  bool has_input(std::size_t i) const { return i < node.inputs.size() && !node.inputs[i].empty(); }
  const std::string& input(std::size_t i) const;  // fails when it is left out
  // Removes the attribute and gives its value; fails when it is of another type.
  template <class T>
  std::optional<T> take(std::string_view name);
  void drop(std::string_view name);
  void set(std::string_view name, AttrValue value);
  void set_default(std::string_view name, AttrValue value);
  void set_input(std::size_t i, std::string name);
  // Makes the attribute, a list of ints, input i; nothing when it is absent.
  void ints_to_input(std::string_view attribute, std::size_t i);

  // A name that no value of the model has.
  std::string fresh(std::string_view wanted) { return state_.names.fresh(wanted); }
  // New constants; their names.
  std::string constant(Tensor tensor);
  std::string ints(std::vector<std::int64_t> values);
  std::string floats(const std::vector<float>& values, DType dtype);
  std::string number(double value, DType dtype);
  // New nodes before this one; the names of their only outputs. Operators outside ai.onnx are
  // named with their domain, as in "com.microsoft:Inverse".
  std::string before(std::string_view op, std::vector<std::string> inputs, AttrMap attributes = {});
  std::string rank_of(const std::string& value);  // int64 [1]
  std::string ones(const std::string& count);     // int64 [count]
  // The value with `count` (int64 [1]) dimensions of one added at its end.
  std::string append_dims(const std::string& value, const std::string& count);
  // The same for a node of several outputs.
  std::vector<std::string> before_all(std::string_view op, std::vector<std::string> inputs,
                                      std::size_t outputs, AttrMap attributes = {});
  // The node becomes another one with the same outputs.
  void become(std::string_view op, std::vector<std::string> inputs, AttrMap attributes = {});
  // A node that makes `output`, an output of this node that is cut off.
  void make_instead(std::size_t output, std::string_view op, std::vector<std::string> inputs,
                    AttrMap attributes = {});

  // float32 when it is not known.
  DType type_of(const std::string& value) const;
  const Tensor* content(const std::string& value) const;
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void unsupported(const std::string& what) const;

 private:
  // The values as a constant of the type, of rank 1.
  Tensor numbers(std::span<const double> values, DType dtype) const;

  Rewriting& state_;
};

AttrMap attrs(std::initializer_list<std::pair<std::string, AttrValue>> values);

// Turns a node written in opsets first..last into one of opset last + 1 (or of the version that
// `apply` sets). A node passes through all rules that meet it, oldest first.
struct Rule {
  std::string_view op;
  std::int64_t first = 1;
  std::int64_t last = 0;
  void (*apply)(Rewriter&) = nullptr;
  std::string_view domain = {};
};

std::span<const Rule> shape_rules();              // upgrade_shape.cc
std::span<const Rule> math_rules();               // upgrade_math.cc
std::span<const Rule> nn_rules();                 // upgrade_nn.cc
std::span<const Rule> resample_rules();           // upgrade_resample.cc
std::span<const Rule> removed_rules();            // upgrade_removed.cc
std::span<const Rule> control_rules();            // upgrade_control.cc
std::span<const Rule> contrib_rules();            // upgrade_contrib.cc
std::span<const Rule> contrib_attention_rules();  // upgrade_contrib_attention.cc
std::span<const Rule> contrib_quant_rules();      // upgrade_contrib_quant.cc

// Replaces a Gradient node by nodes that compute it; `nodes` stand before it (gradient.cc).
void expand_gradient(Rewriter& r, const std::vector<DraftNode>& nodes);

template <class T>
std::optional<T> Rewriter::take(std::string_view name) {
  const auto it = node.attributes.find(name);
  if (it == node.attributes.end()) return std::nullopt;
  const T* value = it->second.value == nullptr ? nullptr : std::get_if<T>(it->second.value.get());
  if (value == nullptr) fail("attribute " + std::string(name) + " is of the wrong type");
  std::optional<T> result = *value;
  node.attributes.erase(it);
  return result;
}

}  // namespace lanewise::onnx
