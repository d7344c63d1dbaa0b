// The buffer protocol in, NumPy arrays out.
#include "python/bindings/arrays.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/graph/container.h"

namespace nb = nanobind;

namespace lanewise::bindings {
namespace {

// A buffer that Python lends; released with the GIL held, whichever thread drops it last.
struct Lent {
  Py_buffer view{};
  bool held = false;
  ~Lent() {
    if (!held) return;
    const nb::gil_scoped_acquire gil;
    PyBuffer_Release(&view);
  }
};

Tensor strings_from_python(nb::handle array) {
  const auto pair = nb::cast<nb::tuple>(array);
  const auto list = nb::cast<nb::list>(pair[0]);
  Shape shape;
  for (nb::handle dim : nb::cast<nb::tuple>(pair[1])) shape.push_back(nb::cast<std::int64_t>(dim));
  Tensor tensor = Tensor::allocate(DType::kString, shape);
  if (static_cast<std::int64_t>(list.size()) != tensor.elements()) {
    throw nb::value_error("a string array needs one str for each element");
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    tensor.mutable_as<std::string>()[i] = nb::cast<std::string>(list[i]);
  }
  return tensor;
}

Tensor container_from_python(nb::handle value, DType kind) {
  const auto pair = nb::cast<nb::tuple>(value);
  Container content;
  for (nb::handle code : nb::cast<nb::list>(pair[0])) {
    content.holds.push_back(static_cast<DType>(nb::cast<int>(code)));
  }
  for (nb::handle item : nb::cast<nb::list>(pair[1])) {
    const auto entry = nb::cast<nb::tuple>(item);
    content.items.push_back(tensor_from_python(entry[0], nb::cast<int>(entry[1])));
  }
  const std::size_t count = content.items.size();
  if ((kind == DType::kOptional && count > 1) || (kind == DType::kMap && count != 2)) {
    throw nb::value_error("an optional holds one item or none, a map its keys and its values");
  }
  return make_container(kind, std::move(content));
}

nb::dlpack::dtype numpy_type(DType dtype) {
  const auto bits = static_cast<std::uint8_t>(dtype_size(dtype) * 8);
  const auto type = [&](nb::dlpack::dtype_code code) {
    return nb::dlpack::dtype{static_cast<std::uint8_t>(code), bits, 1};
  };
  switch (dtype) {
    case DType::kFloat16:
    case DType::kFloat32:
    case DType::kFloat64: return type(nb::dlpack::dtype_code::Float);
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64: return type(nb::dlpack::dtype_code::Int);
    case DType::kComplex64:
    case DType::kComplex128: return type(nb::dlpack::dtype_code::Complex);
    case DType::kBool: return type(nb::dlpack::dtype_code::Bool);
    default: return type(nb::dlpack::dtype_code::UInt);
  }
}

}  // namespace

Tensor tensor_from_python(nb::handle array, int code) {
  const auto kind = static_cast<DType>(code);
  if (kind == DType::kSequence || kind == DType::kOptional || kind == DType::kMap) {
    return container_from_python(array, kind);
  }
  if (!is_dtype(code)) throw nb::value_error("not an ONNX element type");
  const DType dtype = static_cast<DType>(code);
  if (dtype == DType::kString) return strings_from_python(array);
  auto lent = std::make_shared<Lent>();
  if (PyObject_GetBuffer(array.ptr(), &lent->view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
    throw nb::python_error();
  }
  lent->held = true;
  if (static_cast<std::size_t>(lent->view.itemsize) != dtype_size(dtype)) {
    throw nb::value_error("the array's items do not have the size of the element type");
  }
  Shape shape;
  for (int i = 0; i < lent->view.ndim; ++i) shape.push_back(lent->view.shape[i]);
  const void* data = lent->view.buf;
  return Tensor::wrap(dtype, std::move(shape), data, std::move(lent));
}

nb::object tensor_to_python(const Tensor& tensor) {
  if (tensor.dtype() == DType::kString) {
    nb::list list, shape;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
      const std::string& text = tensor.as<std::string>()[i];
      list.append(nb::str(text.data(), text.size()));
    }
    for (std::int64_t dim : tensor.shape()) shape.append(dim);
    return nb::make_tuple(list, nb::tuple(shape));
  }
  if (is_container(tensor.dtype())) {
    nb::list items;
    for (const Tensor& item : container_of(tensor).items) {
      items.append(nb::make_tuple(tensor_to_python(item), static_cast<int>(item.dtype())));
    }
    return items;
  }
  auto* kept = new Tensor(tensor);
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Tensor*>(p); });
  std::vector<std::size_t> shape(tensor.shape().begin(), tensor.shape().end());
  nb::ndarray<nb::numpy> array(kept->mutable_data(), shape.size(), shape.data(), owner, nullptr,
                               numpy_type(tensor.dtype()));
  return nb::cast(array);
}

}  // namespace lanewise::bindings
