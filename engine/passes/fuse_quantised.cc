// An operator between DequantizeLinear and QuantizeLinear becomes one operator on the integers
// (Jacob et al. 2018, section 2). With real numbers both are the same function; in float32 the
// operator's rounding errors may move a result that is next to a tie to the other side of it, by
// one step. Where bytes only move or compare, results are the same bits. docs/architecture.md has
// the rule; what is not sure to obey it stays as it is.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/op.h"
#include "engine/passes/passes.h"
#include "engine/passes/quantised.h"

namespace lanewise {
namespace {

constexpr std::string_view kMicrosoft = "com.microsoft";

// Operators that move or choose elements of input 0, and do the same to integers.
constexpr std::string_view kMoving[] = {
    "DepthToSpace", "Expand",       "Flatten", "Gather", "Identity",  "MaxPool",  "Reshape",
    "Slice",        "SpaceToDepth", "Squeeze", "Tile",   "Transpose", "Unsqueeze"};

class Fuser : QuantisedValues {
 public:
  explicit Fuser(Graph& graph) : QuantisedValues(graph), uses_(count_uses(graph)) {}

  void run() {
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      made_.clear();
      if (is_op(graph_.nodes[i], "QuantizeLinear")) fuse(graph_.nodes[i]);
      if (made_.empty()) made_.push_back(graph_.nodes[i]);
      for (Node& node : made_) nodes.push_back(std::move(node));
    }
    // What was fused is not read any more.
    graph_.nodes = std::move(nodes);
    remove_dead(graph_);
  }

 private:
  // The node that makes `id` for one reader alone.
  const Node* only_read(ValueId id) const {
    if (id == kNoValue || uses_[static_cast<std::size_t>(id)] != 1) return nullptr;
    if (graph_.value(id).dtype != DType::kFloat32) return nullptr;
    return producer(id);
  }

  // Relu or Clip before the quantisation becomes bounds; `node` is then what stands before it.
  bool take_bounds(const Node*& node, const Quantised& y, Bounds* bounds) const {
    constexpr float kMost = std::numeric_limits<float>::infinity();
    float low = 0.0f, high = kMost;
    if (is_op(*node, "Clip")) {
      if (!scalar(*node, 1, -kMost, &low) || !scalar(*node, 2, kMost, &high)) return false;
    } else if (!is_op(*node, "Relu")) {
      return true;
    }
    const Node* before = only_read(node->inputs[0]);
    // Alone between integers it is an operator of its own.
    if (before == nullptr || is_op(*before, "DequantizeLinear")) return true;
    bounds->low = byte_of(low, y);
    bounds->high = std::max(bounds->low, byte_of(high, y));
    if (low > high) bounds->low = bounds->high = byte_of(high, y);
    node = before;
    return true;
  }

  void fuse(const Node& quantize) {
    if (!is_byte(graph_.value(quantize.outputs[0]).dtype)) return;
    const std::optional<Quantised> y = parameters(quantize, quantize.outputs[0]);
    const Node* node = only_read(quantize.inputs[0]);
    if (!y || !y->one() || node == nullptr) return;
    Bounds bounds;
    if (!take_bounds(node, *y, &bounds)) return;
    if (!node->op->domain.empty()) return;
    const std::string_view op = node->op->name;
    if (op == "Conv") return conv(*node, *y, bounds);
    if (op == "MatMul" || op == "Gemm") return matmul(*node, *y, bounds);
    const ValueId result = bounds.none() ? y->value : unbounded(*y);
    if (!element_wise(*node, *y, result)) {
      made_.clear();
      return;
    }
    if (!bounds.none()) clamp(*y, result, bounds);
  }

  bool element_wise(const Node& node, const Quantised& y, ValueId result) {
    const std::string_view op = node.op->name;
    if (op == "Add" || op == "Mul") return binary(node, y, result);
    if (op == "AveragePool" || op == "GlobalAveragePool") return average(node, y, result);
    if (op == "Concat") return concat(node, y, result);
    if (op == "Relu" || op == "Clip" || op == "LeakyRelu" || op == "Sigmoid")
      return function(node, y, result);
    if (std::find(std::begin(kMoving), std::end(kMoving), op) != std::end(kMoving))
      return moving(node, y, result);
    return false;
  }

  // A node that ends the group; the graph's later nodes follow.
  Node& make(const Node& like, std::string_view domain, std::string_view op,
             std::vector<ValueId> inputs, ValueId output) {
    Node node;
    node.name = like.name;
    node.op = find_op(domain, op);
    node.formal_inputs = static_cast<int>(inputs.size());
    node.inputs = std::move(inputs);
    node.outputs = {output};
    made_.push_back(std::move(node));
    return made_.back();
  }

  ValueId add_constant(const std::string& name, Tensor tensor) {
    Value value;
    value.name = name;
    value.dtype = tensor.dtype();
    value.shape = tensor.shape();
    value.ranked = true;
    value.constant = std::make_shared<const Tensor>(std::move(tensor));
    return graph_.add_value(std::move(value));
  }
  ValueId byte_constant(const std::string& name, DType dtype, std::int64_t v) {
    return add_constant(name, dtype == DType::kInt8 ? Tensor::scalar(static_cast<std::int8_t>(v))
                                                    : Tensor::scalar(static_cast<std::uint8_t>(v)));
  }
  // A zero point tells the type of a result: there must be one.
  ValueId zero_of(const Quantised& y) {
    if (y.zero != kNoValue) return y.zero;
    return byte_constant(graph_.value_name(y.value) + ":zero", y.dtype, 0);
  }

  // The result before bounds.
  ValueId unbounded(const Quantised& y) {
    Value value = graph_.value(y.value);
    value.name += ":unbounded";
    return graph_.add_value(std::move(value));
  }
  void clamp(const Quantised& y, ValueId from, const Bounds& bounds) {
    const std::string name = graph_.value_name(y.value);
    const ValueId low = byte_constant(name + ":low", y.dtype, bounds.low);
    const ValueId high = byte_constant(name + ":high", y.dtype, bounds.high);
    const Node like = made_.back();
    make(like, "", "Clip", {from, low, high}, y.value);
  }

  static void set_bounds(Node& node, const Bounds& bounds) {
    node.attributes["low"] = bounds.low;
    node.attributes["high"] = bounds.high;
  }

  void conv(const Node& node, const Quantised& y, const Bounds& bounds) {
    const std::optional<Quantised> x = activation(node.inputs[0]);
    const Shape& filters = shape(node.inputs[1]);
    const std::optional<Quantised> w = weights(node.inputs[1], 0, filters[0]);
    if (!x || !w || shape(x->value).rank() > 5 || filters[0] == 0) return;
    const auto terms = static_cast<double>(filters.elements(1, filters.rank()));
    ValueId added = kNoValue;
    if (!bias(input(node, 2), *x, *w, filters[0], terms, &added)) return;
    Node& made =
        make(node, "lanewise", "FusedQLinearConv",
             {x->value, x->scale, x->zero, w->value, w->scale, w->zero, y.scale, zero_of(y), added},
             y.value);
    made.attributes = node.attributes;
    set_bounds(made, bounds);
  }

  void matmul(const Node& node, const Quantised& y, const Bounds& bounds) {
    const bool gemm = node.op->name == "Gemm";
    const auto* alpha = node.attribute<float>("alpha");
    const auto* beta = node.attribute<float>("beta");
    if (int_or(node, "transA", 0) != 0 || (alpha != nullptr && *alpha != 1.0f) ||
        (beta != nullptr && *beta != 1.0f))
      return;
    const bool transposed = gemm && int_or(node, "transB", 0) != 0;
    const std::optional<Quantised> a = activation(node.inputs[0]);
    const Shape& right = shape(node.inputs[1]);
    const int rank = right.rank();
    if (!a || rank < 1 || shape(a->value).rank() < 1) return;
    const int axis = transposed ? 0 : rank - 1;
    const std::int64_t columns = rank == 1 ? 1 : right[axis];
    const std::optional<Quantised> b = weights(node.inputs[1], axis, columns);
    if (!b || (rank != 2 && !b->one())) return;
    const auto terms =
        static_cast<double>(rank == 1 ? right[0] : right[rank - 1 + rank - 2 - axis]);
    ValueId added = kNoValue;
    if (!bias(gemm ? input(node, 2) : kNoValue, *a, *b, columns, terms, &added)) return;
    Node& made =
        make(node, "lanewise", "FusedQLinearMatMul",
             {a->value, a->scale, a->zero, b->value, b->scale, b->zero, y.scale, zero_of(y), added},
             y.value);
    made.attributes["transB"] = static_cast<std::int64_t>(transposed);
    set_bounds(made, bounds);
  }

  bool binary(const Node& node, const Quantised& y, ValueId result) {
    const std::optional<Quantised> a = activation(node.inputs[0]), b = activation(node.inputs[1]);
    if (!a || !b || a->dtype != y.dtype || b->dtype != y.dtype) return false;
    make(node, kMicrosoft, node.op->name == "Add" ? "QLinearAdd" : "QLinearMul",
         {a->value, a->scale, a->zero, b->value, b->scale, b->zero, y.scale, zero_of(y)}, result);
    return true;
  }

  bool average(const Node& node, const Quantised& y, ValueId result) {
    const std::optional<Quantised> x = activation(node.inputs[0]);
    if (!x || x->dtype != y.dtype) return false;
    const bool global = node.op->name == "GlobalAveragePool";
    const Shape& from = shape(x->value);
    constexpr std::int64_t kMostTerms = std::int64_t{1} << 20;  // far from overflow
    const auto* dilations = node.attribute<std::vector<std::int64_t>>("dilations");
    if (from.rank() < 3 || from.elements(2, from.rank()) > kMostTerms) return false;
    if (dilations != nullptr &&
        std::any_of(dilations->begin(), dilations->end(), [](std::int64_t d) { return d != 1; }))
      return false;
    Node& made = make(node, kMicrosoft, global ? "QLinearGlobalAveragePool" : "QLinearAveragePool",
                      {x->value, x->scale, x->zero, y.scale, zero_of(y)}, result);
    made.attributes = node.attributes;
    made.attributes.erase("dilations");
    return true;
  }

  bool concat(const Node& node, const Quantised& y, ValueId result) {
    std::vector<ValueId> inputs = {y.scale, zero_of(y)}, plain;
    bool same = true;
    for (ValueId id : node.inputs) {
      const std::optional<Quantised> x = activation(id);
      if (!x || x->dtype != y.dtype) return false;
      same = same && x->same_as(y);
      plain.push_back(x->value);
      inputs.insert(inputs.end(), {x->value, x->scale, x->zero});
    }
    Node& made = same ? make(node, "", "Concat", plain, result)
                      : make(node, kMicrosoft, "QLinearConcat", inputs, result);
    made.attributes = node.attributes;
    return true;
  }

  // Functions of one number, which a table holds for each byte.
  bool function(const Node& node, const Quantised& y, ValueId result) {
    const std::optional<Quantised> x = activation(node.inputs[0]);
    if (!x || x->dtype != y.dtype) return false;
    const std::vector<ValueId> inputs = {x->value, x->scale, x->zero, y.scale, zero_of(y)};
    if (node.op->name == "Sigmoid") {
      make(node, kMicrosoft, "QLinearSigmoid", inputs, result);
      return true;
    }
    float alpha = 1.0f;
    if (node.op->name == "LeakyRelu") {
      const auto* given = node.attribute<float>("alpha");
      alpha = given == nullptr ? 0.01f : *given;
    } else if (node.op->name == "Relu") {
      alpha = 0.0f;
    }
    Bounds bounds;
    if (node.op->name == "Clip") {
      constexpr float kMost = std::numeric_limits<float>::infinity();
      float low, high;
      if (!scalar(node, 1, -kMost, &low) || !scalar(node, 2, kMost, &high) || low > high)
        return false;
      bounds = {byte_of(low, y), byte_of(high, y)};
    }
    const ValueId to = bounds.none() ? result : unbounded(y);
    make(node, kMicrosoft, "QLinearLeakyRelu", inputs, to).attributes["alpha"] = alpha;
    if (!bounds.none()) clamp(y, to, bounds);
    return true;
  }

  bool moving(const Node& node, const Quantised& y, ValueId result) {
    const std::optional<Quantised> x = activation(node.inputs[0]);
    if (!x || !x->same_as(y) || node.outputs.size() != 1) return false;
    std::vector<ValueId> inputs = node.inputs;
    inputs[0] = x->value;
    make(node, "", node.op->name, std::move(inputs), result).attributes = node.attributes;
    return true;
  }

  std::vector<int> uses_;
  std::vector<Node> made_;  // in place of the QuantizeLinear at hand
};

}  // namespace

void fuse_quantised(Graph& graph) { Fuser(graph).run(); }

}  // namespace lanewise
