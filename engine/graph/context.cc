// Attribute access with the schema's defaults, and the errors that name the node.
#include "engine/graph/context.h"

#include <algorithm>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

const AttrDef* find_attr(const Node& node, std::string_view name) {
  const auto& defs = node.op->attributes;
  const auto it =
      std::find_if(defs.begin(), defs.end(), [&](const AttrDef& d) { return d.name == name; });
  return it == defs.end() ? nullptr : &*it;
}

template <class T>
std::vector<T> list_or_empty(const Node& node, std::string_view name) {
  const auto* values = node.attribute<std::vector<T>>(name);
  return values == nullptr ? std::vector<T>{} : *values;
}

}  // namespace

bool OpContext::has_attr(std::string_view name) const { return node_.attributes.contains(name); }

std::int64_t OpContext::attr_int(std::string_view name) const {
  if (const auto* value = node_.attribute<std::int64_t>(name)) return *value;
  const AttrDef* def = find_attr(node_, name);
  return def == nullptr ? 0 : def->int_default;
}

float OpContext::attr_float(std::string_view name) const {
  if (const auto* value = node_.attribute<float>(name)) return *value;
  const AttrDef* def = find_attr(node_, name);
  return def == nullptr ? 0.0f : def->float_default;
}

std::string_view OpContext::attr_string(std::string_view name) const {
  if (const auto* value = node_.attribute<std::string>(name)) return *value;
  const AttrDef* def = find_attr(node_, name);
  return def == nullptr ? std::string_view{} : def->string_default;
}

std::vector<std::int64_t> OpContext::attr_ints(std::string_view name) const {
  return list_or_empty<std::int64_t>(node_, name);
}

std::vector<float> OpContext::attr_floats(std::string_view name) const {
  return list_or_empty<float>(node_, name);
}

std::vector<std::string> OpContext::attr_strings(std::string_view name) const {
  return list_or_empty<std::string>(node_, name);
}

const Tensor* OpContext::attr_tensor(std::string_view name) const {
  return node_.attribute<Tensor>(name);
}

const Subgraph* OpContext::attr_graph(std::string_view name) const {
  return node_.attribute<Subgraph>(name);
}

std::vector<DType> OpContext::attr_type(std::string_view name) const {
  const auto* value = node_.attribute<ValueType>(name);
  return value == nullptr ? std::vector<DType>{} : value->type;
}

int OpContext::attr_axis(int rank, std::string_view name) const {
  const std::int64_t axis = attr_int(name);
  const auto normal = normalize_axis(axis, rank);
  if (!normal) {
    fail("attribute '" + std::string(name) + "' is " + std::to_string(axis) + ", expected " +
         std::to_string(-rank) + " to " + std::to_string(rank - 1) + " for an input of rank " +
         std::to_string(rank));
  }
  return *normal;
}

std::string OpContext::where() const {
  return "node '" + node_.name + "' (" + op_name(*node_.op) + "): ";
}

void OpContext::fail(const std::string& message) const { throw ModelError(where() + message); }

void OpContext::unsupported(const std::string& message) const {
  const std::string text = where() + message;
  throw UnsupportedError(text, {text});
}

void OpContext::expect_rank(int i, int least, int most) const {
  const int rank = shape(i).rank();
  if (rank >= least && rank <= most) return;
  const std::string wanted =
      least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most);
  fail("input " + std::to_string(i) + " must have rank " + wanted + ", found shape " +
       shape(i).str());
}

void OpContext::expect_dtype(int i, std::initializer_list<DType> choices) const {
  if (std::find(choices.begin(), choices.end(), dtype(i)) != choices.end()) return;
  std::string names;
  for (DType choice : choices)
    names += (names.empty() ? "" : ", ") + std::string(dtype_name(choice));
  fail("input " + std::to_string(i) + " must be of " + names + ", found " +
       std::string(dtype_name(dtype(i))));
}

void OpContext::expect_same_dtype(int i, int j) const {
  if (dtype(i) == dtype(j)) return;
  fail("inputs " + std::to_string(i) + " and " + std::to_string(j) + " must have one type, found " +
       std::string(dtype_name(dtype(i))) + " and " + std::string(dtype_name(dtype(j))));
}

const Tensor& InferContext::need(int i) const {
  if (!has_input(i)) fail("input " + std::to_string(i) + " is required here");
  if (const Tensor* known = content(i)) return *known;
  throw NeedsData{i};
}

void InferContext::set_output(int i, DType dtype, Shape shape) {
  if (!has_output(i)) return;
  ValueInfo& info = outputs_[static_cast<std::size_t>(i)];
  info.dtype = dtype;
  info.shape = std::move(shape);
}

void InferContext::set_exact_output(int i, DType dtype, Shape shape) {
  if (!has_output(i)) return;
  set_output(i, dtype, std::move(shape));
  exact_[static_cast<std::size_t>(i)] = true;
}

WeightCache::Made WeightCache::get(const Tensor& source, const std::string& key, std::size_t bytes,
                                   const std::function<void(std::byte*)>& fill) {
  return keep(source, key, bytes, [&]() -> Made {
    std::shared_ptr<std::byte> memory = allocate_shared(bytes);
    fill(memory.get());
    return memory;
  });
}

std::shared_ptr<Callable> LowerContext::body(std::string_view name) const {
  const Subgraph* subgraph = attr_graph(name);
  if (subgraph == nullptr) fail("attribute '" + std::string(name) + "' (a graph) is missing");
  return compile_(*subgraph);
}

}  // namespace lanewise
