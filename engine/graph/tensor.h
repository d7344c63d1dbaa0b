// An array with its element type and shape; the bytes are shared, never copied by assignment.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/base/shape.h"

namespace lanewise {

class Backing;

// How the bytes of a value of shape [N, C, spatial...] lie; the shape itself stays in ONNX order.
enum class Layout : std::uint8_t {
  kPlain,         // row-major in the shape's own order
  kChannelsLast,  // row-major in the order N, spatial..., C
};

class Tensor {
 public:
  Tensor() = default;

  // Uninitialised bytes of the library's own; strings and containers are empty ones.
  static Tensor allocate(DType dtype, Shape shape);
  // A view of bytes that `owner` keeps alive.
  static Tensor wrap(DType dtype, Shape shape, const void* data, std::shared_ptr<const void> owner);
  // A constant whose bytes come and go (graph/backing.h).
  static Tensor backed(DType dtype, Shape shape, std::shared_ptr<Backing> backing);
  // A rank-1 tensor (or a scalar) of the given values.
  template <class T>
  static Tensor from(std::span<const T> values);
  template <class T>
  static Tensor scalar(T value);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t elements() const { return elements_; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements_) * dtype_size(dtype_); }
  bool defined() const { return dtype_ != DType::kUndefined; }

  // Of a backed tensor: made now unless they are there, and there as long as a Hold lasts.
  const void* data() const { return backing_ == nullptr ? data_ : backed_data(); }
  // Names the bytes, whether they are there or not.
  const void* id() const { return backing_ == nullptr ? data_ : backing_; }
  // Writable only for a tensor that allocate() made.
  void* mutable_data() { return const_cast<void*>(data_); }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data());
  }
  template <class T>
  T* mutable_as() {
    return static_cast<T*>(mutable_data());
  }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  // Null for most tensors.
  std::shared_ptr<Backing> backing() const { return std::shared_ptr<Backing>(owner_, backing_); }

  // The same content in memory of its own; a container's items are shared.
  Tensor copy() const;
  // The same content in memory that stays: a copy of a backed tensor, else this one.
  Tensor lasting() const { return backing_ == nullptr ? *this : copy(); }
  // The same bytes under another shape of as many elements.
  Tensor reshaped(Shape shape) const;
  // The same bytes as another type of the same size, under another shape of as many elements.
  Tensor viewed(DType dtype, Shape shape) const;
  // The values of an integer or bool tensor; throws ModelError for other types.
  std::vector<std::int64_t> int_values() const;
  // The values of a float32, float64, 16-bit float or integer tensor; throws ModelError else.
  std::vector<double> float_values() const;

 private:
  const void* backed_data() const;

  DType dtype_ = DType::kUndefined;
  Shape shape_;
  std::int64_t elements_ = 0;
  const void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  Backing* backing_ = nullptr;  // lives as long as owner_
};

template <class T>
Tensor Tensor::from(std::span<const T> values) {
  Tensor result = allocate(kDTypeOf<T>, Shape{static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), result.mutable_as<T>());
  return result;
}

template <class T>
Tensor Tensor::scalar(T value) {
  Tensor result = allocate(kDTypeOf<T>, Shape{});
  *result.mutable_as<T>() = value;
  return result;
}

}  // namespace lanewise
