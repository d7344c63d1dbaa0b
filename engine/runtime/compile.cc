// From walked nodes to a segment: rewrite, lower, and place every value.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/passes/passes.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/segment.h"

namespace lanewise {
namespace {

// Packs weights into the shared cache when their source is a constant that lives as long as the
// model, else privately: an address that is freed and given out again must not find old bytes.
class PlanWeights final : public WeightCache {
 public:
  PlanWeights(SharedWeights& shared, const std::set<const void*>& lasting)
      : shared_(shared), lasting_(lasting) {}
  std::shared_ptr<const std::byte> get(const Tensor& source, const std::string& key,
                                       std::size_t bytes,
                                       const std::function<void(std::byte*)>& fill) override {
    packed_.insert(source.id());
    if (lasting_.contains(source.id())) return shared_.get(source, key, bytes, fill);
    std::shared_ptr<std::byte> memory = allocate_shared(bytes);
    fill(memory.get());
    return memory;
  }
  // Whether these bytes were asked for: the step needs no others.
  bool packed(const Tensor& source) const { return packed_.contains(source.id()); }

 private:
  SharedWeights& shared_;
  const std::set<const void*>& lasting_;
  std::set<const void*> packed_;
};

class Compiler {
 public:
  Compiler(const Graph& source, const Walk& walk, const Facts& facts, const Options& options,
           SharedWeights& weights, const LowerContext::SubgraphCompiler& compile)
      : source_(source),
        walk_(walk),
        facts_(facts),
        options_(options),
        weights_(weights),
        compile_(compile) {}

  std::unique_ptr<Segment> run(const std::vector<ValueId>& results, std::vector<Hold> held) {
    specialize(results);
    rewrite();
    hold_constants();
    held.clear();
    result_ids_ = results;
    lower();
    place();
    return std::make_unique<Segment>(std::move(parts_));
  }

 private:
  struct Root {
    Place place;
    int first = -1, last = -1;  // steps, for arena roots
    std::size_t bytes = 0;
    bool is_result = false;
    bool shared = false;  // other values lie inside the one whose memory this is
  };

  // Where a value begins: itself, or the outermost value that it lies in.
  struct Spot {
    ValueId value = kNoValue;
    std::size_t offset = 0;  // bytes
  };

  void specialize(const std::vector<ValueId>& results);
  void rewrite();
  void lower();
  void place();
  void lower_node(Node& node);
  void hold_constants();
  void forget_packed(Node& node, const PlanWeights& cache) const;
  void share_bytes(const Node& node, int step);
  bool read_otherwise(const Node& node, std::size_t i) const;
  void mark_results();
  ValueInfo info(ValueId id) const;
  int root_of(ValueId id) const { return roots_of_[static_cast<std::size_t>(id)]; }
  Spot spot_of(ValueId id) const;
  int source_root(ValueId id);
  void touch(ValueId id, int step);

  const Graph& source_;
  const Walk& walk_;
  const Facts& facts_;
  const Options& options_;
  SharedWeights& weights_;
  const LowerContext::SubgraphCompiler& compile_;

  Graph graph_;
  std::set<const void*> lasting_;
  std::map<int, std::vector<Hold>> held_;  // by the index of the last node that reads them
  std::vector<ValueId> result_ids_;        // in the source's numbering, parallel to graph_.outputs
  Segment::Parts parts_;
  std::vector<int> roots_of_;  // for each value, the index of the memory it lies in
  std::vector<Root> roots_;
  std::vector<std::pair<const Node*, int>> steps_;  // nodes that became steps
};

void Compiler::specialize(const std::vector<ValueId>& results) {
  graph_.values.reserve(source_.values.size() + 64);
  for (std::size_t i = 0; i < source_.values.size(); ++i) {
    const ValueInfo& fact = facts_.values[i];
    Value value;
    value.name = source_.values[i].name;
    value.dtype = fact.dtype;
    value.shape = fact.shape;
    value.ranked = true;
    value.constant = fact.content;
    if (fact.content && facts_.fixed[i]) lasting_.insert(fact.content->id());
    graph_.values.push_back(std::move(value));
  }
  for (int index : walk_.nodes)
    graph_.nodes.push_back(source_.nodes[static_cast<std::size_t>(index)]);
  graph_.outputs = results;
}

void Compiler::rewrite() {
  const ConstantMaker constants = [&](const void* source, const std::string& key,
                                      const std::function<Tensor()>& make) {
    if (!lasting_.contains(source)) return std::make_shared<const Tensor>(make());
    auto constant = weights_.constant(source, key, make);
    lasting_.insert(constant->id());
    return constant;
  };
  remove_dead(graph_);
  widen_floats(graph_, constants);
  if (options_.fuse) {
    fold_batch_norm(graph_, constants);
    fuse_epilogues(graph_);
    shuffle_channels(graph_);
  }
  assign_layouts(graph_);
  if (options_.fuse) embed_concats(graph_);
}

ValueInfo Compiler::info(ValueId id) const {
  if (id == kNoValue) return {};
  const Value& value = graph_.value(id);
  return {value.dtype, value.shape, value.layout, value.constant, value.embedding};
}

Compiler::Spot Compiler::spot_of(ValueId id) const {
  const std::size_t element = dtype_size(graph_.value(id).dtype);
  Spot spot{id, 0};
  for (const Embedding* e = &graph_.value(id).embedding; e->within != kNoValue;
       e = &graph_.value(spot.value).embedding) {
    spot.offset += static_cast<std::size_t>(e->offset) * element;
    spot.value = e->within;
  }
  return spot;
}

// The memory of a value that no step of this segment makes: a constant, or one from before.
int Compiler::source_root(ValueId id) {
  int& root = roots_of_[static_cast<std::size_t>(id)];
  if (root >= 0) return root;
  Root made;
  if (const auto& constant = graph_.value(id).constant) {
    made.place = {Place::Kind::kConstant, parts_.constants.size()};
    parts_.constants.push_back(constant);
    if (constant->backing()) parts_.held.emplace_back(*constant);
  } else {
    made.place = {Place::Kind::kLive, parts_.live.size()};
    parts_.live.push_back(id);
  }
  root = static_cast<int>(roots_.size());
  roots_.push_back(made);
  return root;
}

void Compiler::touch(ValueId id, int step) {
  Root& root = roots_[static_cast<std::size_t>(source_root(id))];
  root.last = std::max(root.last, step);
}

// Constants stay in memory until the last node that reads them is lowered; large ones that no node
// reads any more, folded into others, go before those are made.
void Compiler::hold_constants() {
  std::map<const void*, std::pair<int, const Tensor*>> last;
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    for (ValueId id : graph_.nodes[i].inputs) {
      const Tensor* constant = id == kNoValue ? nullptr : graph_.value(id).constant.get();
      if (constant == nullptr || constant->backing() == nullptr) continue;
      last[constant->id()] = {static_cast<int>(i), constant};
    }
  }
  for (const auto& [id, reader] : last) held_[reader.first].emplace_back(*reader.second);
}

// Takes away the inputs that the step has packed. A constant that comes in twice stays: the step
// may have packed one and read the other.
void Compiler::forget_packed(Node& node, const PlanWeights& cache) const {
  const auto constant = [&](ValueId id) {
    return id == kNoValue ? nullptr : graph_.value(id).constant.get();
  };
  const std::vector<ValueId> inputs = node.inputs;
  for (ValueId& input : node.inputs) {
    const Tensor* source = constant(input);
    if (source == nullptr || !cache.packed(*source)) continue;
    const auto same = [&](ValueId id) {
      return constant(id) != nullptr && constant(id)->id() == source->id();
    };
    if (std::count_if(inputs.begin(), inputs.end(), same) == 1) input = kNoValue;
  }
}

void Compiler::lower_node(Node& node) {
  std::vector<ValueInfo> inputs, outputs;
  for (ValueId id : node.inputs) inputs.push_back(info(id));
  for (ValueId id : node.outputs) outputs.push_back(info(id));
  PlanWeights cache(weights_, lasting_);
  const LowerOptions lowering{options_.isa, options_.threads, options_.numerics, options_.force};
  LowerContext context(node, inputs, outputs, lowering, cache, compile_);
  BoundStep bound;
  bound.step = node.op->lower(context);
  bound.name = node.name;
  bound.op = op_name(*node.op);
  double elements = 0;
  for (const auto* list : {&inputs, &outputs}) {
    for (const ValueInfo& value : *list) {
      if (!value.present() || !value.shape.known()) continue;
      const double count = static_cast<double>(value.shape.elements());
      if (list == &outputs) elements += count;
      bound.bytes += count * static_cast<double>(dtype_size(value.dtype));
    }
  }
  bound.flops = node.op->flops == nullptr ? elements : node.op->flops(context, outputs);
  for (ValueId id : node.outputs) {
    bound.output_names.push_back(id == kNoValue ? "" : graph_.value_name(id));
    bound.emits = bound.emits || (id != kNoValue && !graph_.value(id).shape.known());
  }
  bound.output_shape = outputs.empty() ? "" : outputs[0].shape.str();
  parts_.steps.push_back(std::move(bound));
  forget_packed(node, cache);
}

void Compiler::lower() {
  roots_of_.assign(graph_.values.size(), -1);
  for (std::size_t index = 0; index < graph_.nodes.size(); ++index) {
    Node& node = graph_.nodes[index];
    if (node.op->view) {
      const int root = source_root(node.inputs[0]);
      roots_of_[static_cast<std::size_t>(node.outputs[0])] = root;
      continue;
    }
    const int step = static_cast<int>(parts_.steps.size());
    lower_node(node);
    steps_.emplace_back(&node, step);
    for (ValueId id : node.inputs) {
      if (id != kNoValue) touch(id, step);
    }
    held_.erase(static_cast<int>(index));
    for (ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      const Spot spot = spot_of(id);
      const int known = roots_of_[static_cast<std::size_t>(spot.value)];
      if (known >= 0) {
        roots_of_[static_cast<std::size_t>(id)] = known;
        touch(id, step);
        continue;
      }
      const Value& value = graph_.value(spot.value);
      Root root;
      root.shared = spot.value != id;
      root.first = root.last = step;
      if (value.shape.known()) {
        root.bytes = static_cast<std::size_t>(checked_multiply(
            value.shape.elements(), static_cast<std::int64_t>(dtype_size(value.dtype))));
      }
      root.place.kind = Place::Kind::kArena;
      roots_of_[static_cast<std::size_t>(id)] = roots_of_[static_cast<std::size_t>(spot.value)] =
          static_cast<int>(roots_.size());
      roots_.push_back(root);
    }
  }
}

// Gives each result its own memory, or says where to copy it from.
void Compiler::mark_results() {
  for (std::size_t i = 0; i < result_ids_.size(); ++i) {
    const ValueId id = graph_.outputs[i];
    const Value& value = graph_.value(id);
    Result result{result_ids_[i], value.dtype, value.shape, {}};
    Root& root = roots_[static_cast<std::size_t>(source_root(id))];
    if (root.place.kind == Place::Kind::kArena && !root.is_result) {
      root.is_result = true;
      root.place = {Place::Kind::kResult, i};
    } else {
      result.copy_from = root.place;
    }
    parts_.results.push_back(std::move(result));
  }
}

// Whether the memory of input i is also that of an input which the step may not overwrite: the sum
// conv(x) + x must not write over x while it is convolved.
bool Compiler::read_otherwise(const Node& node, std::size_t i) const {
  for (std::size_t j = 0; j < node.inputs.size(); ++j) {
    if (j == i || node.inputs[j] == kNoValue || root_of(node.inputs[j]) != root_of(node.inputs[i]))
      continue;
    const bool elementwise = j < 32 && (node.op->inplace >> j & 1u) != 0;
    if (!elementwise || graph_.value(node.inputs[j]).shape != graph_.value(node.inputs[i]).shape)
      return true;
  }
  return false;
}

// Lets output 0 of an element-wise step take over the memory of an input that ends there.
void Compiler::share_bytes(const Node& node, int step) {
  if (node.op->inplace == 0 || node.outputs[0] == kNoValue) return;
  const int out = root_of(node.outputs[0]);
  const Root& made_root = roots_[static_cast<std::size_t>(out)];
  if (made_root.is_result || made_root.shared) return;
  const Value& made = graph_.value(node.outputs[0]);
  for (std::size_t i = 0; i < node.inputs.size() && i < 32; ++i) {
    if ((node.op->inplace >> i & 1u) == 0 || node.inputs[i] == kNoValue) continue;
    const Value& value = graph_.value(node.inputs[i]);
    const int in = root_of(node.inputs[i]);
    Root& root = roots_[static_cast<std::size_t>(in)];
    const bool ends = root.place.kind == Place::Kind::kArena && root.last == step && in != out &&
                      value.embedding.within == kNoValue;
    if (!ends || value.shape != made.shape || dtype_size(value.dtype) != dtype_size(made.dtype))
      continue;
    if (read_otherwise(node, i)) continue;
    root.last = std::max(root.last, roots_[static_cast<std::size_t>(out)].last);
    for (int& id_root : roots_of_) {
      if (id_root == out) id_root = in;
    }
    return;
  }
}

void Compiler::place() {
  mark_results();
  for (const auto& [node, step] : steps_) share_bytes(*node, step);
  std::vector<Lifetime> buffers;
  std::vector<int> owner;
  std::vector<bool> used(roots_.size(), false);
  for (int root : roots_of_) {
    if (root >= 0) used[static_cast<std::size_t>(root)] = true;
  }
  for (std::size_t i = 0; i < roots_.size(); ++i) {
    if (!used[i] || roots_[i].place.kind != Place::Kind::kArena) continue;
    buffers.push_back({roots_[i].bytes, roots_[i].first, roots_[i].last, 0});
    owner.push_back(static_cast<int>(i));
  }
  const std::size_t values = buffers.size();
  for (std::size_t i = 0; i < parts_.steps.size(); ++i) {
    const int step = static_cast<int>(i);
    buffers.push_back({parts_.steps[i].step.scratch_bytes, step, step, 0});
  }
  parts_.arena_bytes = place_buffers(buffers);
  for (std::size_t i = 0; i < values; ++i) {
    roots_[static_cast<std::size_t>(owner[i])].place.index = buffers[i].offset;
  }
  for (const auto& [node, step] : steps_) {
    BoundStep& bound = parts_.steps[static_cast<std::size_t>(step)];
    bound.scratch = {Place::Kind::kArena, buffers[values + static_cast<std::size_t>(step)].offset};
    const auto place_of = [&](ValueId id) {
      if (id == kNoValue) return Place{};
      Place place = roots_[static_cast<std::size_t>(root_of(id))].place;
      place.index += spot_of(id).offset;
      return place;
    };
    for (ValueId id : node->inputs) bound.inputs.push_back(place_of(id));
    for (ValueId id : node->outputs) bound.outputs.push_back(place_of(id));
  }
}

}  // namespace

std::unique_ptr<Segment> compile_segment(const Graph& graph, const Walk& walk, const Facts& facts,
                                         const std::vector<ValueId>& results,
                                         std::vector<Hold> held, const Options& options,
                                         SharedWeights& weights,
                                         const LowerContext::SubgraphCompiler& compile) {
  return Compiler(graph, walk, facts, options, weights, compile).run(results, std::move(held));
}

}  // namespace lanewise
