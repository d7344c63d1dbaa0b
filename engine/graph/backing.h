// Bytes of large constants that need not stay in memory, because they can be made again: from the
// model's file, or from another constant. Not for values that a run makes.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "engine/base/buffer.h"
#include "engine/graph/tensor.h"

namespace lanewise {

// Smaller constants just stay: dropping them gives nothing back.
inline constexpr std::size_t kLeastBackedBytes = std::size_t{64} << 10;

// Whoever reads the bytes holds the backing meanwhile: they are dropped when the last holder lets
// go. Bytes that are read while nobody holds stay until then. Safe from several threads.
class Backing {
 public:
  // With `in_place`, the bytes always lie there, and `dropped` may free what lies behind them.
  explicit Backing(std::size_t bytes, const std::byte* in_place = nullptr)
      : bytes_(bytes), in_place_(in_place), data_(in_place) {}
  virtual ~Backing() = default;
  Backing(const Backing&) = delete;
  Backing& operator=(const Backing&) = delete;

  // The bytes, made now unless they are there. Throws ResourceError.
  const std::byte* data();
  // Bytes [offset, offset + size) for a reader that goes through all of them once; they may lie in
  // `buffer`, and last until the next call.
  virtual const std::byte* window(std::size_t offset, std::size_t size, AlignedBytes& buffer);

  void hold();
  void release();
  // Memory that the bytes take beside what they are made from.
  std::size_t resident() const;

 protected:
  std::size_t bytes() const { return bytes_; }
  bool present() const { return data_.load(std::memory_order_acquire) != nullptr; }
  virtual void make(std::byte* to) = 0;
  virtual void dropped() {}

 private:
  const std::size_t bytes_;
  const std::byte* const in_place_;
  std::atomic<const std::byte*> data_;
  std::mutex mutex_;
  AlignedBytes memory_;
  int holders_ = 0;
};

// Keeps the bytes of a tensor where they are; nothing for a tensor without a backing.
class Hold {
 public:
  explicit Hold(const Tensor& tensor) : backing_(tensor.backing()) {
    if (backing_) backing_->hold();
  }
  ~Hold() {
    if (backing_) backing_->release();
  }
  Hold(Hold&&) noexcept = default;
  Hold& operator=(Hold&& other) noexcept {
    std::swap(backing_, other.backing_);
    return *this;
  }

 private:
  std::shared_ptr<Backing> backing_;
};

// A constant that `fill` makes whenever it is read; made at once where it is small. `fill` must
// own what it reads and always make the same bytes.
Tensor derived_constant(DType dtype, Shape shape, std::function<void(std::byte*)> fill);

// Reads a constant front to back, a window at a time, so that it need not be in memory whole.
class WindowReader {
 public:
  explicit WindowReader(const Tensor& tensor) : tensor_(tensor), hold_(tensor) {}
  // Elements [first, first + count); valid until the next call.
  template <class T>
  const T* at(std::int64_t first, std::int64_t count) {
    const auto offset = static_cast<std::size_t>(first) * sizeof(T);
    const auto size = static_cast<std::size_t>(count) * sizeof(T);
    const auto backing = tensor_.backing();
    if (backing == nullptr) return tensor_.as<T>() + first;
    return reinterpret_cast<const T*>(backing->window(offset, size, buffer_));
  }

 private:
  const Tensor& tensor_;
  Hold hold_;
  AlignedBytes buffer_;
};

}  // namespace lanewise
