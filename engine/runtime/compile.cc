// From walked nodes to a segment: rewrite, lower, and place every value.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "engine/passes/passes.h"
#include "engine/runtime/fold_dequantised.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/partition.h"
#include "engine/runtime/segment.h"

namespace lanewise {
namespace {

// Libraries on devices choose by alignment up to this many bytes.
constexpr std::size_t kDeviceAlignment = 256;

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
    if (options_.backend != nullptr)
      partition_ = divide(graph_, options_, weights_, lasting_, compile_);
    // Large ones that no node reads any more, folded into others, go before those are made.
    held_ = hold_to_last_readers(graph_);
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
  std::size_t place_arena(Place::Kind kind, std::size_t granule, std::vector<std::size_t>& scratch);
  void place_staging();
  void lower_node(Node& node, PlacedNode* placed);
  std::vector<ValueInfo> infos(const std::vector<ValueId>& ids) const;
  bool on_device(ValueId id) const;
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
  std::optional<Partition> partition_;  // with a device
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
    // A device computes on floats between the two: its libraries' products are of floats.
    if (options_.backend == nullptr) fuse_quantised(graph_);
    fold_dequantised(graph_, constants, options_, compile_);
    fold_batch_norm(graph_, constants);
    fuse_epilogues(graph_);
    shuffle_channels(graph_);
  }
  assign_layouts(graph_);
  // Steps on a device write dense values.
  if (options_.fuse && options_.backend == nullptr) embed_concats(graph_);
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
  if (const auto& constant = graph_.value(id).constant; constant && on_device(id)) {
    made.place = {Place::Kind::kDeviceConstant, parts_.device_constants.size()};
    const DType dtype = graph_.value(id).dtype;
    PlanWeights cache(weights_, lasting_);
    parts_.device_constants.push_back(
        cache.keep(*constant, "device:" + std::string(dtype_name(dtype)),
                   static_cast<std::size_t>(constant->elements()) * dtype_size(dtype),
                   [&] { return options_.backend->upload(*constant, dtype); }));
  } else if (constant) {
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

std::vector<ValueInfo> Compiler::infos(const std::vector<ValueId>& ids) const {
  std::vector<ValueInfo> list;
  for (ValueId id : ids) list.push_back(info(id));
  return list;
}

bool Compiler::on_device(ValueId id) const {
  return partition_ && id != kNoValue && partition_->values[static_cast<std::size_t>(id)];
}

// `placed` is what the device makes of the node, null without a device.
void Compiler::lower_node(Node& node, PlacedNode* placed) {
  const std::vector<ValueInfo> inputs = infos(node.inputs), outputs = infos(node.outputs);
  PlanWeights cache(weights_, lasting_);
  const LowerOptions lowering{options_.isa, options_.threads, options_.numerics,
                              forced(options_, node)};
  LowerContext context(node, inputs, outputs, lowering, cache, compile_);
  BoundStep bound;
  if (placed != nullptr && placed->on_device) {
    if (placed->step) {
      bound.side = Side::kDevice;
      bound.step = std::move(*placed->step);
    } else {
      bound.side = on_device(node.outputs[0]) ? Side::kToDevice : Side::kToHost;
      bound.step.algorithm = "copy";
      bound.copy_bytes =
          static_cast<std::size_t>(outputs[0].shape.elements()) * dtype_size(outputs[0].dtype);
    }
  } else {
    bound.step = node.op->lower(context);
    if (placed != nullptr)
      bound.step.refused.insert(bound.step.refused.begin(),
                                {options_.backend->name(), placed->reason});
  }
  describe_step(graph_, context, inputs, outputs, bound);
  parts_.steps.push_back(std::move(bound));
  cache.forget_packed(graph_, node);
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
    lower_node(node, partition_ ? &partition_->nodes[index] : nullptr);
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
      root.place.kind = on_device(id) ? Place::Kind::kDevice : Place::Kind::kArena;
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

// Gives every value and every step's scratch memory its place in one of the arenas; returns the
// arena's size. `scratch` gets the steps' offsets.
std::size_t Compiler::place_arena(Place::Kind kind, std::size_t granule,
                                  std::vector<std::size_t>& scratch) {
  std::vector<bool> used(roots_.size(), false);
  for (int root : roots_of_) {
    if (root >= 0) used[static_cast<std::size_t>(root)] = true;
  }
  const auto whole = [&](std::size_t bytes) { return (bytes + granule - 1) / granule * granule; };
  std::vector<Lifetime> buffers;
  std::vector<Root*> owner;
  for (std::size_t i = 0; i < roots_.size(); ++i) {
    if (!used[i] || roots_[i].place.kind != kind) continue;
    buffers.push_back({whole(roots_[i].bytes), roots_[i].first, roots_[i].last, 0});
    owner.push_back(&roots_[i]);
  }
  std::vector<std::size_t> stepping;
  for (std::size_t i = 0; i < parts_.steps.size(); ++i) {
    const bool device = parts_.steps[i].side != Side::kHost;
    if (device != (kind == Place::Kind::kDevice)) continue;
    const int step = static_cast<int>(i);
    buffers.push_back({whole(parts_.steps[i].step.scratch_bytes), step, step, 0});
    stepping.push_back(i);
  }
  const std::size_t bytes = place_buffers(buffers);
  for (std::size_t i = 0; i < owner.size(); ++i) owner[i]->place.index = buffers[i].offset;
  for (std::size_t i = 0; i < stepping.size(); ++i)
    scratch[stepping[i]] = buffers[owner.size() + i].offset;
  return bytes;
}

// A run's copies may all be under way at once: each has its own place.
void Compiler::place_staging() {
  for (BoundStep& step : parts_.steps) {
    if (step.copy_bytes == 0) continue;
    step.staging = parts_.staging_bytes;
    parts_.staging_bytes += aligned_size(step.copy_bytes);
  }
}

void Compiler::place() {
  mark_results();
  for (const auto& [node, step] : steps_) share_bytes(*node, step);
  std::vector<std::size_t> scratch(parts_.steps.size(), 0);
  parts_.arena_bytes = place_arena(Place::Kind::kArena, 1, scratch);
  if (partition_) {
    parts_.backend = options_.backend;
    parts_.device_bytes = place_arena(Place::Kind::kDevice, kDeviceAlignment, scratch);
    place_staging();
  }
  for (const auto& [node, step] : steps_) {
    BoundStep& bound = parts_.steps[static_cast<std::size_t>(step)];
    const bool device = bound.side != Side::kHost;
    bound.scratch = {device ? Place::Kind::kDevice : Place::Kind::kArena,
                     scratch[static_cast<std::size_t>(step)]};
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
