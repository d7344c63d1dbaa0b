// Transformed weights, made once and shared by all plans of a model.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/backing.h"
#include "engine/graph/context.h"

namespace lanewise {

// Entries live as long as the cache: a source's id names its bytes, and sources are constants of
// the model, which outlive it. Safe from several threads.
class SharedWeights final : public WeightCache {
 public:
  Made keep(const Tensor& source, const std::string& key, std::size_t bytes,
            const std::function<Made()>& make) override;

  // A constant derived from another (batch normalisation folded into weights, say).
  std::shared_ptr<const Tensor> constant(const void* source, const std::string& key,
                                         const std::function<Tensor()>& make);

  // Of what is in memory now.
  std::size_t bytes() const;

 private:
  using Key = std::pair<const void*, std::string>;
  mutable std::mutex mutex_;
  std::map<Key, Made> packed_;
  std::map<Key, std::shared_ptr<const Tensor>> constants_;
  std::size_t packed_bytes_ = 0;
};

// Packs weights into the shared cache when their source is a constant that lives as long as the
// model, else privately: an address that is freed and given out again must not find old bytes.
// One for each node that is lowered.
class PlanWeights final : public WeightCache {
 public:
  PlanWeights(SharedWeights& shared, const std::set<const void*>& lasting)
      : shared_(shared), lasting_(lasting) {}
  Made keep(const Tensor& source, const std::string& key, std::size_t bytes,
            const std::function<Made()>& make) override;
  // Takes away the inputs of the node whose bytes were asked for: its step needs no others. A
  // constant that comes in twice stays: the step may have packed one and read the other.
  void forget_packed(const Graph& graph, Node& node) const;

 private:
  SharedWeights& shared_;
  const std::set<const void*>& lasting_;
  std::set<const void*> packed_;
};

// Holds on the constants of a graph, by the index of the last node that reads each: they stay in
// memory until that is lowered.
std::map<int, std::vector<Hold>> hold_to_last_readers(const Graph& graph);

}  // namespace lanewise
