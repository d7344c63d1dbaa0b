// Transformed weights, made once and shared by all plans of a model.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/graph/context.h"

namespace lanewise {

// Entries live as long as the cache: a source's id names its bytes, and sources are constants of
// the model, which outlive it. Safe from several threads.
class SharedWeights final : public WeightCache {
 public:
  std::shared_ptr<const std::byte> get(const Tensor& source, const std::string& key,
                                       std::size_t bytes,
                                       const std::function<void(std::byte*)>& fill) override;

  // A constant derived from another (batch normalisation folded into weights, say).
  std::shared_ptr<const Tensor> constant(const void* source, const std::string& key,
                                         const std::function<Tensor()>& make);

  // Of what is in memory now.
  std::size_t bytes() const;

 private:
  using Key = std::pair<const void*, std::string>;
  mutable std::mutex mutex_;
  std::map<Key, std::shared_ptr<const std::byte>> packed_;
  std::map<Key, std::shared_ptr<const Tensor>> constants_;
  std::size_t packed_bytes_ = 0;
};

}  // namespace lanewise
