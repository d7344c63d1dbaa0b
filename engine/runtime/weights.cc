// The maps behind SharedWeights, and what a plan adds to them.
#include "engine/runtime/weights.h"

#include <algorithm>
#include <vector>

namespace lanewise {

WeightCache::Made SharedWeights::keep(const Tensor& source, const std::string& key,
                                      std::size_t bytes, const std::function<Made()>& make) {
  const std::lock_guard lock(mutex_);
  auto& entry = packed_[Key(source.id(), key)];
  if (entry == nullptr) {
    entry = make();
    packed_bytes_ += bytes;
  }
  return entry;
}

std::shared_ptr<const Tensor> SharedWeights::constant(const void* source, const std::string& key,
                                                      const std::function<Tensor()>& make) {
  const std::lock_guard lock(mutex_);
  auto& entry = constants_[Key(source, key)];
  if (entry == nullptr) entry = std::make_shared<const Tensor>(make());
  return entry;
}

std::size_t SharedWeights::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = packed_bytes_;
  for (const auto& [key, constant] : constants_) {
    const auto backing = constant->backing();
    bytes += backing ? backing->resident() : constant->bytes();
  }
  return bytes;
}

WeightCache::Made PlanWeights::keep(const Tensor& source, const std::string& key, std::size_t bytes,
                                    const std::function<Made()>& make) {
  packed_.insert(source.id());
  return lasting_.contains(source.id()) ? shared_.keep(source, key, bytes, make) : make();
}

void PlanWeights::forget_packed(const Graph& graph, Node& node) const {
  const auto constant = [&](ValueId id) {
    return id == kNoValue ? nullptr : graph.value(id).constant.get();
  };
  const std::vector<ValueId> inputs = node.inputs;
  for (ValueId& input : node.inputs) {
    const Tensor* source = constant(input);
    if (source == nullptr || !packed_.contains(source->id())) continue;
    const auto same = [&](ValueId id) {
      return constant(id) != nullptr && constant(id)->id() == source->id();
    };
    if (std::count_if(inputs.begin(), inputs.end(), same) == 1) input = kNoValue;
  }
}

std::map<int, std::vector<Hold>> hold_to_last_readers(const Graph& graph) {
  std::map<const void*, std::pair<int, const Tensor*>> last;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId id : graph.nodes[i].inputs) {
      const Tensor* constant = id == kNoValue ? nullptr : graph.value(id).constant.get();
      if (constant == nullptr || constant->backing() == nullptr) continue;
      last[constant->id()] = {static_cast<int>(i), constant};
    }
  }
  std::map<int, std::vector<Hold>> held;
  for (const auto& [id, reader] : last) held[reader.first].emplace_back(*reader.second);
  return held;
}

}  // namespace lanewise
