// The maps behind SharedWeights.
#include "engine/runtime/weights.h"

#include "engine/base/buffer.h"
#include "engine/graph/backing.h"

namespace lanewise {

std::shared_ptr<const std::byte> SharedWeights::get(const Tensor& source, const std::string& key,
                                                    std::size_t bytes,
                                                    const std::function<void(std::byte*)>& fill) {
  const std::lock_guard lock(mutex_);
  auto& entry = packed_[Key(source.id(), key)];
  if (entry == nullptr) {
    std::shared_ptr<std::byte> memory = allocate_shared(bytes);
    fill(memory.get());
    entry = std::move(memory);
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

}  // namespace lanewise
