// Making and dropping the bytes of constants.
#include "engine/graph/backing.h"

namespace lanewise {
namespace {

class DerivedBytes final : public Backing {
 public:
  DerivedBytes(std::size_t bytes, std::function<void(std::byte*)> fill)
      : Backing(bytes), fill_(std::move(fill)) {}

 private:
  void make(std::byte* to) override { fill_(to); }

  const std::function<void(std::byte*)> fill_;
};

}  // namespace

const std::byte* Backing::data() {
  const std::byte* data = data_.load(std::memory_order_acquire);
  if (data != nullptr) return data;
  const std::lock_guard lock(mutex_);
  if (memory_ == nullptr) {
    AlignedBytes memory = allocate_aligned(bytes_);
    make(memory.get());
    memory_ = std::move(memory);
    data_.store(memory_.get(), std::memory_order_release);
  }
  return memory_.get();
}

const std::byte* Backing::window(std::size_t offset, std::size_t, AlignedBytes&) {
  return data() + offset;
}

void Backing::hold() {
  const std::lock_guard lock(mutex_);
  ++holders_;
}

void Backing::release() {
  const std::lock_guard lock(mutex_);
  if (--holders_ > 0) return;
  if (in_place_ == nullptr) {
    data_.store(nullptr, std::memory_order_release);
    memory_.reset();
  }
  dropped();
}

std::size_t Backing::resident() const { return in_place_ == nullptr && present() ? bytes_ : 0; }

Tensor derived_constant(DType dtype, Shape shape, std::function<void(std::byte*)> fill) {
  const auto bytes = static_cast<std::size_t>(
      checked_multiply(shape.elements(), static_cast<std::int64_t>(dtype_size(dtype))));
  if (bytes >= kLeastBackedBytes) {
    return Tensor::backed(dtype, std::move(shape),
                          std::make_shared<DerivedBytes>(bytes, std::move(fill)));
  }
  Tensor result = Tensor::allocate(dtype, std::move(shape));
  fill(result.mutable_as<std::byte>());
  return result;
}

}  // namespace lanewise
