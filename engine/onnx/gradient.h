// Derivatives of operators for Gradient (gradient.cc), one table per family: what adds to the
// derivatives of a node's inputs, given those of its outputs.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {

using NameList = std::vector<std::string>;

// Derivatives as far as they are known, by the value they belong to, and the nodes that make them.
class Reverse {
 public:
  explicit Reverse(Rewriter& r) : r_(r) {}

  std::string op(std::string_view name, NameList inputs, AttrMap attributes = {}) {
    return r_.before(name, std::move(inputs), std::move(attributes));
  }
  NameList all(std::string_view name, NameList inputs, std::size_t outputs, AttrMap attributes) {
    return r_.before_all(name, std::move(inputs), outputs, std::move(attributes));
  }
  // A scalar of the type of `like`.
  std::string number(double value, const std::string& like) {
    return r_.number(value, r_.type_of(like));
  }
  std::string integer(std::int64_t value) {
    return r_.number(static_cast<double>(value), DType::kInt64);
  }
  std::string ints(std::vector<std::int64_t> values) { return r_.ints(std::move(values)); }
  std::string filled(double value, const std::string& like) {
    return op("Expand", {number(value, like), op("Shape", {like})});
  }
  // int64 [1], and as a scalar.
  std::string rank(const std::string& x) { return r_.rank_of(x); }
  std::string rank_scalar(const std::string& x) { return op("Size", {op("Shape", {x})}); }
  std::string append_dims(const std::string& x, const std::string& count) {
    return r_.append_dims(x, count);
  }
  // first, first + 1, ... below the rank of x; `first` is a scalar.
  std::string axes_from(const std::string& first, const std::string& x) {
    return op("Range", {first, rank_scalar(x), integer(1)});
  }

  // Sums g over the dimensions along which x was broadcast.
  std::string reduced(const std::string& g, const std::string& x);

  void add(const std::string& value, const std::string& derivative);
  // To a value that may have been broadcast.
  void add_broadcast(const std::string& value, const std::string& derivative) {
    if (wanted.contains(value)) add(value, reduced(derivative, value));
  }
  [[noreturn]] void unsupported(const std::string& what) const { r_.unsupported(what); }

  std::set<std::string> wanted;  // values that depend on the variables
  std::map<std::string, std::string> derivatives;

 private:
  Rewriter& r_;
};

// A node that is passed on the way back.
struct Visit {
  Reverse& reverse;
  const DraftNode& node;
  std::string g;  // derivative of output 0

  bool has(std::size_t i) const { return i < node.inputs.size() && !node.inputs[i].empty(); }
  const std::string& x(std::size_t i = 0) const { return node.inputs[i]; }
  const std::string& y() const { return node.outputs[0]; }
  bool wants(std::size_t i) const { return has(i) && reverse.wanted.contains(node.inputs[i]); }
  // Refuses when input i depends on the variables.
  void expect_constant(std::size_t i) const;

  // The attribute, or null when it is absent or of another type.
  template <class T>
  const T* attribute(std::string_view name) const {
    const auto it = node.attributes.find(name);
    return it == node.attributes.end() || it->second.value == nullptr
               ? nullptr
               : std::get_if<T>(it->second.value.get());
  }
  std::int64_t attr(std::string_view name, std::int64_t fallback) const {
    const auto* value = attribute<std::int64_t>(name);
    return value == nullptr ? fallback : *value;
  }
  double attr_float(std::string_view name, float fallback) const {
    const auto* value = attribute<float>(name);
    return static_cast<double>(value == nullptr ? fallback : *value);
  }
  std::string attr_string(std::string_view name, std::string_view fallback) const {
    const auto* value = attribute<std::string>(name);
    return value == nullptr ? std::string(fallback) : *value;
  }

  std::string op(std::string_view name, NameList inputs, AttrMap attributes = {}) const {
    return reverse.op(name, std::move(inputs), std::move(attributes));
  }
  std::string mul(const std::string& a, const std::string& b) const { return op("Mul", {a, b}); }
  std::string add(const std::string& a, const std::string& b) const { return op("Add", {a, b}); }
  std::string sub(const std::string& a, const std::string& b) const { return op("Sub", {a, b}); }
  // A scalar of the type of input 0.
  std::string number(double value) const { return reverse.number(value, x()); }
  std::string where(const std::string& condition, const std::string& a,
                    const std::string& b) const {
    return op("Where", {condition, a, b});
  }
  // The derivative where the condition holds, else zero.
  std::string masked(const std::string& condition) const { return where(condition, g, number(0)); }
  // Adds g * slope to input 0's derivative.
  void times(const std::string& slope) const { reverse.add(x(), mul(g, slope)); }
};

struct Derivative {
  std::string_view op;
  void (*derive)(const Visit&);
  bool every_output = false;  // reads the derivatives of all outputs, not of the first alone
};

// Results that do not change with small changes of their inputs.
void no_derivative(const Visit& v);

std::span<const Derivative> function_derivatives();  // gradient_functions.cc
std::span<const Derivative> moving_derivatives();    // gradient_moves.cc
std::span<const Derivative> layer_derivatives();     // gradient_layers.cc

}  // namespace lanewise::onnx
