// Reading a file's bytes so that its pages leave memory behind the reader.
#include "engine/onnx/stored_bytes.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/graph/backing.h"

namespace lanewise::onnx {
namespace {

constexpr std::size_t kPart = std::size_t{1} << 20;

class StoredBytes final : public Backing {
 public:
  StoredBytes(const std::byte* source, std::size_t bytes, bool aligned, Origin origin)
      : Backing(bytes, aligned ? source : nullptr), source_(source), origin_(std::move(origin)) {}

  const std::byte* window(std::size_t offset, std::size_t size, AlignedBytes& buffer) override {
    if (present()) {
      const std::size_t behind = std::min(offset, std::max(kPart, 2 * size));
      forget(offset - behind, behind);
      return data() + offset;
    }
    buffer.reset();
    buffer = allocate_aligned(size);
    copy(offset, size, buffer.get());
    return buffer.get();
  }

 private:
  void make(std::byte* to) override { copy(0, bytes(), to); }
  void dropped() override { forget(0, bytes()); }

  void copy(std::size_t offset, std::size_t size, std::byte* to) const {
    for (std::size_t at = 0; at < size; at += kPart) {
      const std::size_t part = std::min(kPart, size - at);
      std::memcpy(to + at, source_ + offset + at, part);
      forget(offset + at, part);
    }
  }

  void forget(std::size_t offset, std::size_t size) const {
    if (origin_.file != nullptr) origin_.file->forget(source_ + offset, size);
  }

  const std::byte* const source_;
  const Origin origin_;
};

}  // namespace

Tensor stored_tensor(DType dtype, Shape shape, const std::byte* bytes, bool aligned,
                     Origin origin) {
  const std::size_t size = static_cast<std::size_t>(shape.elements()) * dtype_size(dtype);
  return Tensor::backed(dtype, std::move(shape),
                        std::make_shared<StoredBytes>(bytes, size, aligned, std::move(origin)));
}

}  // namespace lanewise::onnx
