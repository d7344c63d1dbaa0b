// The tree of plans and the walk along it.
#include "engine/runtime/program.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/base/error.h"

namespace lanewise {
namespace {

// Plans kept for one place in the tree; past it the place starts afresh, so that a stream of ever
// new shapes does not grow the process.
constexpr std::size_t kMaxPlans = 64;

void append(std::string& key, const void* bytes, std::size_t size) {
  key.append(static_cast<const char*>(bytes), size);
}

void append_form(std::string& key, DType dtype, const Shape& shape) {
  key += static_cast<char>(dtype);
  key += static_cast<char>(shape.rank());
  for (std::int64_t dim : shape) append(key, &dim, sizeof(dim));
}

void append_content(std::string& key, const Tensor& tensor) {
  if (tensor.dtype() != DType::kString) return append(key, tensor.data(), tensor.bytes());
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const std::string& text = tensor.as<std::string>()[i];
    const std::size_t size = text.size();
    append(key, &size, sizeof(size));
    key += text;
  }
}

template <class Map>
void make_room(Map& map) {
  if (map.size() >= kMaxPlans) map.clear();
}

}  // namespace

Program::Program(std::shared_ptr<const Graph> graph, const Options& options)
    : graph_(std::move(graph)), options_(options) {
  compile_ = [this](const Subgraph& body) { return compile_body(body); };
}

std::shared_ptr<Callable> Program::compile_body(const Subgraph& body) {
  auto& program = bodies_[body.graph.get()];
  if (program == nullptr) program = std::make_shared<Program>(body.graph, options_);
  return program;
}

std::shared_ptr<PlanNode> Program::root_for(const std::map<ValueId, ValueInfo>& inputs,
                                            const std::vector<ValueId>& outputs) {
  std::string key;
  for (const auto& [id, info] : inputs) {
    append(key, &id, sizeof(id));
    append_form(key, info.dtype, info.shape);
  }
  key += '|';
  for (ValueId id : outputs) append(key, &id, sizeof(id));
  const std::lock_guard lock(mutex_);
  if (const auto known = roots_.find(key); known != roots_.end()) return known->second;
  Facts facts;
  facts.values.resize(graph_->values.size());
  facts.fixed.resize(graph_->values.size());
  for (std::size_t i = 0; i < graph_->values.size(); ++i) {
    const auto& constant = graph_->values[i].constant;
    if (constant == nullptr) continue;
    facts.values[i] = {constant->dtype(), constant->shape(), Layout::kPlain, constant};
    facts.fixed[i] = true;
  }
  for (const auto& [id, info] : inputs) {
    facts.values[static_cast<std::size_t>(id)] = info;
    facts.fixed[static_cast<std::size_t>(id)] = false;
  }
  make_room(roots_);
  auto node = make_node(std::move(facts), 0, outputs);
  roots_[key] = node;
  return node;
}

std::shared_ptr<PlanNode> Program::next_of(PlanNode& node, const Live& live,
                                           const std::vector<ValueId>& outputs) {
  std::string key;
  for (ValueId id : node.emitted) {
    const Tensor& tensor = live.at(id);
    append_form(key, tensor.dtype(), tensor.shape());
  }
  if (node.wanted != kNoValue) append_content(key, live.at(node.wanted));
  const std::lock_guard lock(mutex_);
  if (const auto known = node.next.find(key); known != node.next.end()) return known->second;
  Facts facts = node.facts;
  for (ValueId id : node.emitted) {
    const Tensor& tensor = live.at(id);
    facts.values[static_cast<std::size_t>(id)] = {tensor.dtype(), tensor.shape(), Layout::kPlain,
                                                  nullptr};
  }
  if (node.wanted != kNoValue) {
    const Tensor& tensor = live.at(node.wanted);
    // A copy: the caller may change the array, and the plan must go on meaning what its key says.
    auto content = std::make_shared<const Tensor>(tensor.copy());
    facts.values[static_cast<std::size_t>(node.wanted)] = {tensor.dtype(), tensor.shape(),
                                                           Layout::kPlain, std::move(content)};
  }
  make_room(node.next);
  auto next = make_node(std::move(facts), node.next_node, outputs);
  node.next[key] = next;
  return next;
}

std::shared_ptr<PlanNode> Program::make_node(Facts facts, int first,
                                             const std::vector<ValueId>& outputs) {
  auto node = std::make_shared<PlanNode>();
  // Folding reads constants, and so do the passes.
  std::vector<Hold> held;
  for (const ValueInfo& info : facts.values) {
    if (info.content != nullptr && info.content->backing()) held.emplace_back(*info.content);
  }
  const Walk walk = walk_graph(*graph_, first, facts, folded_, options_, compile_);
  const std::vector<ValueId> results = leaving(walk, facts, outputs);
  node->segment =
      compile_segment(*graph_, walk, facts, results, std::move(held), options_, weights_, compile_);
  node->next_node = walk.end;
  node->wanted = walk.wanted;
  node->complete = walk.end == static_cast<int>(graph_->nodes.size()) && walk.wanted == kNoValue;
  if (walk.emits) {
    for (ValueId id : graph_->nodes[static_cast<std::size_t>(walk.nodes.back())].outputs) {
      if (id != kNoValue && std::find(results.begin(), results.end(), id) != results.end()) {
        node->emitted.push_back(id);
      }
    }
  }
  node->facts = std::move(facts);
  return node;
}

// The values made by the walked nodes that something later reads, or that the caller asked for.
std::vector<ValueId> Program::leaving(const Walk& walk, const Facts& facts,
                                      const std::vector<ValueId>& outputs) const {
  std::set<ValueId> needed(outputs.begin(), outputs.end());
  for (std::size_t i = static_cast<std::size_t>(walk.end); i < graph_->nodes.size(); ++i) {
    for (ValueId id : graph_->nodes[i].inputs) needed.insert(id);
  }
  if (walk.wanted != kNoValue) needed.insert(walk.wanted);
  std::vector<ValueId> result;
  for (int index : walk.nodes) {
    for (ValueId id : graph_->nodes[static_cast<std::size_t>(index)].outputs) {
      const bool known =
          id != kNoValue && facts.values[static_cast<std::size_t>(id)].content != nullptr;
      if (id == kNoValue || known) continue;
      // Strings are objects, which an arena of bytes cannot hold.
      const bool object = facts.values[static_cast<std::size_t>(id)].dtype == DType::kString;
      if (object || needed.contains(id)) result.push_back(id);
    }
  }
  return result;
}

std::vector<Tensor> Program::run(std::span<const Tensor> inputs,
                                 const std::map<ValueId, Tensor>& overrides,
                                 const std::vector<ValueId>& outputs, Trace* trace) {
  Live live = overrides;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    live.insert_or_assign(graph_->inputs[i], inputs[i]);
  std::map<ValueId, ValueInfo> forms;
  for (const auto& [id, tensor] : live)
    forms[id] = {tensor.dtype(), tensor.shape(), Layout::kPlain, nullptr};
  std::shared_ptr<PlanNode> node = root_for(forms, outputs);
  for (;;) {
    if (trace != nullptr) trace->plans.push_back(node);
    node->segment->run(live, options_.threads, trace);
    if (node->complete) break;
    node = next_of(*node, live, outputs);
  }
  std::vector<Tensor> results;
  for (ValueId id : outputs) {
    const auto made = live.find(id);
    const auto& content = node->facts.values[static_cast<std::size_t>(id)].content;
    if (made != live.end()) {
      results.push_back(made->second);
    } else if (content != nullptr) {
      results.push_back(content->lasting());
    } else {
      throw ModelError("the value '" + graph_->value_name(id) +
                       "' is never computed; no node makes it");
    }
  }
  return results;
}

std::vector<Tensor> Program::call(std::span<const Tensor> inputs, int) {
  return run(inputs, {}, graph_->outputs);
}

std::shared_ptr<const PlanNode> Program::plan(const std::map<ValueId, ValueInfo>& inputs) {
  return root_for(inputs, graph_->outputs);
}

}  // namespace lanewise
