// Making tensors and reading small ones.
#include "engine/graph/tensor.h"

#include <utility>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/graph/backing.h"
#include "engine/graph/container.h"

namespace lanewise {

Tensor Tensor::allocate(DType dtype, Shape shape) {
  const std::int64_t elements = shape.elements();
  const std::int64_t bytes =
      checked_multiply(elements, static_cast<std::int64_t>(dtype_size(dtype)));
  if (dtype == DType::kString) {
    std::shared_ptr<std::string[]> strings(new std::string[static_cast<std::size_t>(elements)]);
    return wrap(dtype, std::move(shape), strings.get(), strings);
  }
  if (is_container(dtype)) {
    const auto container = std::make_shared<Container>();
    return wrap(dtype, std::move(shape), container.get(), container);
  }
  std::shared_ptr<std::byte> owner = allocate_shared(static_cast<std::size_t>(bytes));
  const void* data = owner.get();
  return wrap(dtype, std::move(shape), data, std::move(owner));
}

Tensor Tensor::wrap(DType dtype, Shape shape, const void* data, std::shared_ptr<const void> owner) {
  Tensor result;
  result.dtype_ = dtype;
  result.elements_ = shape.elements();
  result.shape_ = std::move(shape);
  result.data_ = data;
  result.owner_ = std::move(owner);
  return result;
}

Tensor Tensor::backed(DType dtype, Shape shape, std::shared_ptr<Backing> backing) {
  Backing* const bytes = backing.get();
  Tensor result = wrap(dtype, std::move(shape), nullptr, std::move(backing));
  result.backing_ = bytes;
  return result;
}

const void* Tensor::backed_data() const { return backing_->data(); }

Tensor Tensor::copy() const {
  const Hold hold(*this);
  Tensor result = allocate(dtype_, shape_);
  if (dtype_ == DType::kString) {
    std::copy_n(as<std::string>(), elements_, result.mutable_as<std::string>());
  } else if (is_container(dtype_)) {
    *result.mutable_as<Container>() = *as<Container>();
  } else if (bytes() > 0) {
    std::memcpy(result.mutable_data(), data(), bytes());
  }
  return result;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (shape.elements() != elements_) {
    throw ModelError("a tensor of shape " + shape_.str() + " does not fit the shape " +
                     shape.str());
  }
  Tensor result = *this;
  result.shape_ = std::move(shape);
  return result;
}

Tensor Tensor::viewed(DType dtype, Shape shape) const {
  Tensor result = reshaped(std::move(shape));
  result.dtype_ = dtype;
  return result;
}

std::vector<std::int64_t> Tensor::int_values() const {
  std::vector<std::int64_t> result;
  const bool ok = !is_floating(dtype_) && visit_scalar(dtype_, [&]<class T>(std::type_identity<T>) {
    const T* values = as<T>();
    result.reserve(static_cast<std::size_t>(elements_));
    for (std::int64_t i = 0; i < elements_; ++i)
      result.push_back(static_cast<std::int64_t>(values[i]));
  });
  if (!ok) {
    throw ModelError("expected integers, found a tensor of " + std::string(dtype_name(dtype_)));
  }
  return result;
}

std::vector<double> Tensor::float_values() const {
  std::vector<double> result;
  const bool ok = visit_scalar(dtype_, [&]<class T>(std::type_identity<T>) {
    const T* values = as<T>();
    result.reserve(static_cast<std::size_t>(elements_));
    for (std::int64_t i = 0; i < elements_; ++i) result.push_back(static_cast<double>(values[i]));
  });
  if (!ok) {
    throw ModelError("expected numbers, found a tensor of " + std::string(dtype_name(dtype_)));
  }
  return result;
}

}  // namespace lanewise
