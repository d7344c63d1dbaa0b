// Tensor contents in all the forms that TensorProto has for them.
#include "engine/onnx/tensor_data.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "engine/base/error.h"
#include "engine/graph/backing.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

[[noreturn]] void fail(const TensorProto& proto, const std::string& what) {
  throw ModelError("tensor " + quoted(proto.name) + ": " + what);
}

// Bits per element as stored in the file.
int stored_bits(DType dtype) {
  switch (dtype) {
    case DType::kUInt4:
    case DType::kInt4:
    case DType::kFloat4E2M1: return 4;
    case DType::kFloat6E2M3:
    case DType::kFloat6E3M2: return 6;
    case DType::kUInt2:
    case DType::kInt2: return 2;
    default: return static_cast<int>(dtype_size(dtype)) * 8;
  }
}

std::uint64_t stored_bytes(DType dtype, std::int64_t elements) {
  const auto count = static_cast<std::uint64_t>(elements);
  const int bits = stored_bits(dtype);
  if (bits >= 8) {
    return static_cast<std::uint64_t>(checked_multiply(elements, bits / 8));
  }
  const auto width = static_cast<std::uint64_t>(bits);
  return count / 8 * width + (count % 8 * width + 7) / 8;
}

Shape checked_shape(const TensorProto& proto, const std::vector<std::int64_t>& dims) {
  if (dims.size() > static_cast<std::size_t>(kMaxRank)) {
    fail(proto, "has " + std::to_string(dims.size()) + " dimensions, at most " +
                    std::to_string(kMaxRank) + " are supported");
  }
  for (std::int64_t dim : dims) {
    if (dim < 0) fail(proto, "has the negative dimension " + std::to_string(dim));
  }
  return Shape(dims);
}

// A product of dimensions past 63 bits cannot be backed by any file.
std::int64_t checked_elements(const TensorProto& proto, const Shape& shape) {
  try {
    return shape.elements();
  } catch (const ResourceError&) {
    fail(proto, "shape " + shape.str() + " has more elements than any file can hold");
  }
}

// Elements of fewer than 8 bits, low bits first, to one per byte; signed integers are
// sign-extended.
Tensor unpack(DType dtype, Shape shape, std::string_view bytes) {
  Tensor result = Tensor::allocate(dtype, std::move(shape));
  auto* out = result.mutable_as<std::uint8_t>();
  const int bits = stored_bits(dtype);
  const bool is_signed = dtype == DType::kInt4 || dtype == DType::kInt2;
  for (std::int64_t i = 0; i < result.elements(); ++i) {
    const auto at = static_cast<std::size_t>(i) * static_cast<std::size_t>(bits);
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(bytes[k]); };
    unsigned both = byte(at / 8);
    if (at % 8 + static_cast<std::size_t>(bits) > 8) both |= unsigned{byte(at / 8 + 1)} << 8;
    unsigned value = (both >> (at % 8)) & ((1u << bits) - 1u);
    if (is_signed && (value >> (bits - 1)) != 0) value |= ~0u << bits;
    out[i] = static_cast<std::uint8_t>(value);
  }
  return result;
}

std::uint64_t parse_number(const TensorProto& proto, std::string_view key, std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    fail(proto, "external data has the " + std::string(key) + " " + quoted(text) +
                    ", expected a whole number");
  }
  return value;
}

// Joins chunks; a single one, the usual case, stays where it is and `origin` as it is.
std::string_view join(const std::vector<std::string_view>& chunks, Origin& origin) {
  if (chunks.size() == 1) return chunks[0];
  auto storage = std::make_shared<std::string>();
  for (std::string_view chunk : chunks) *storage += chunk;
  origin = {storage, nullptr};
  return *storage;
}

// Integers narrowed to the element's size, as int32_data stores them.
template <class T>
Tensor narrowed(DType dtype, Shape shape, const std::vector<std::int64_t>& values) {
  Tensor result = Tensor::allocate(dtype, std::move(shape));
  T* out = result.mutable_as<T>();
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = static_cast<T>(values[i]);
  return result;
}

}  // namespace

void Budget::take(std::uint64_t bytes, const char* what) {
  if (bytes > left_) {
    throw ResourceError("the model asks for far more memory than its size explains (" +
                        std::string(what) + "); it is refused");
  }
  left_ -= bytes;
}

Tensor TensorSource::make(const TensorProto& proto) {
  if (!is_dtype(proto.data_type)) {
    fail(proto, "has the unknown element type " + std::to_string(proto.data_type));
  }
  if (proto.has_segment) fail(proto, "is stored in segments, which are not supported");
  const auto dtype = static_cast<DType>(proto.data_type);
  Shape shape = checked_shape(proto, proto.dims);
  checked_elements(proto, shape);
  if (dtype == DType::kString) return make_strings(proto, std::move(shape));
  if (proto.data_location == 1) return from_external(proto, dtype, std::move(shape));
  if (proto.has_raw_data && !(proto.raw_data.empty() && shape.elements() != 0)) {
    return from_bytes(proto, dtype, std::move(shape), proto.raw_data, origin_);
  }
  return from_fields(proto, dtype, std::move(shape));
}

Tensor TensorSource::make_strings(const TensorProto& proto, Shape shape) {
  if (proto.has_raw_data || proto.data_location == 1) {
    fail(proto, "strings must be stored in string_data");
  }
  if (static_cast<std::uint64_t>(shape.elements()) != proto.string_data.size()) {
    fail(proto, "shape " + shape.str() + " needs " + std::to_string(shape.elements()) +
                    " strings, found " + std::to_string(proto.string_data.size()));
  }
  Tensor result = Tensor::allocate(DType::kString, std::move(shape));
  auto* out = result.mutable_as<std::string>();
  for (std::size_t i = 0; i < proto.string_data.size(); ++i) {
    if (!is_utf8(proto.string_data[i]))
      fail(proto, "string " + std::to_string(i) + " is not UTF-8 text");
    out[i] = proto.string_data[i];
  }
  return result;
}

Tensor TensorSource::from_bytes(const TensorProto& proto, DType dtype, Shape shape,
                                std::string_view bytes, const Origin& origin) {
  const std::uint64_t expected = stored_bytes(dtype, shape.elements());
  if (bytes.size() != expected) {
    fail(proto, std::string(dtype_name(dtype)) + " " + shape.str() + " needs " +
                    std::to_string(expected) + " bytes, found " + std::to_string(bytes.size()));
  }
  if (stored_bits(dtype) < 8) return unpack(dtype, std::move(shape), bytes);
  // Complex numbers are aligned like their parts; none is wider than eight bytes.
  const std::size_t alignment = std::min<std::size_t>(dtype_size(dtype), 8);
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment == 0;
  const bool worth = bytes.size() >= kLeastBackedBytes && (origin.file != nullptr || !aligned);
  if (dtype != DType::kBool && worth) {
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    return stored_tensor(dtype, std::move(shape), data, aligned, origin);
  }
  if (dtype != DType::kBool && aligned) {
    return Tensor::wrap(dtype, std::move(shape), bytes.data(), origin.owner);
  }
  Tensor result = Tensor::allocate(dtype, std::move(shape));
  auto* out = result.mutable_as<unsigned char>();
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  if (dtype == DType::kBool) {  // a C++ bool other than 0 or 1 is undefined
    for (std::size_t i = 0; i < bytes.size(); ++i) out[i] = out[i] != 0;
  }
  return result;
}

Tensor TensorSource::from_external(const TensorProto& proto, DType dtype, Shape shape) {
  std::string_view location;
  std::uint64_t offset = 0;
  std::uint64_t length = stored_bytes(dtype, shape.elements());
  for (const auto& [key, value] : proto.external_data) {
    if (key == "location") location = value;
    if (key == "offset") offset = parse_number(proto, key, value);
    if (key == "length") length = parse_number(proto, key, value);
  }
  if (shape.elements() == 0) return from_bytes(proto, dtype, std::move(shape), {}, {});
  std::shared_ptr<const MappedFile> file;
  const std::uint64_t before = files_.mapped_bytes();
  try {
    file = files_.get(location);
  } catch (const ModelError& error) {
    fail(proto, error.what());
  }
  const std::size_t size = file->bytes().size();
  if (offset > size || length > size - offset) {
    fail(proto, "external data " + quoted(location) + ": " + std::to_string(length) +
                    " bytes at offset " + std::to_string(offset) + " are not in a file of " +
                    std::to_string(size) + " bytes");
  }
  // Copies are made when data is not aligned, and many tensors may name one region of the file.
  budget_.grant(4 * (files_.mapped_bytes() - before));
  budget_.take(length, "tensors that share external data");
  const char* data = reinterpret_cast<const char*>(file->bytes().data());
  return from_bytes(proto, dtype, std::move(shape), std::string_view(data + offset, length),
                    {file, file.get()});
}

Tensor TensorSource::from_fields(const TensorProto& proto, DType dtype, Shape shape) {
  const bool single = dtype == DType::kFloat32 || dtype == DType::kComplex64;
  if (single || dtype == DType::kFloat64 || dtype == DType::kComplex128) {
    Origin origin = origin_;
    const std::string_view bytes = join(single ? proto.float_data : proto.double_data, origin);
    return from_bytes(proto, dtype, std::move(shape), bytes, origin);
  }
  const bool is_unsigned = dtype == DType::kUInt32 || dtype == DType::kUInt64;
  const auto& chunks = dtype == DType::kInt64 ? proto.int64_data
                       : is_unsigned          ? proto.uint64_data
                                              : proto.int32_data;
  const std::vector<std::int64_t> values = decode_varints(chunks);
  const std::int64_t elements = shape.elements();
  // One code of 6 bits per value, unlike those of 4 and 2 bits.
  const bool packed = stored_bits(dtype) < 6;
  const auto expected =
      packed ? stored_bytes(dtype, elements) : static_cast<std::uint64_t>(elements);
  if (values.size() != expected) {
    fail(proto, std::string(dtype_name(dtype)) + " " + shape.str() + " needs " +
                    std::to_string(expected) + " values, found " + std::to_string(values.size()));
  }
  if (packed) {
    const std::string bytes(values.begin(), values.end());
    return unpack(dtype, std::move(shape), bytes);
  }
  if (dtype == DType::kBool) {
    Tensor result = Tensor::allocate(dtype, std::move(shape));
    for (std::size_t i = 0; i < values.size(); ++i) result.mutable_as<bool>()[i] = values[i] != 0;
    return result;
  }
  switch (dtype_size(dtype)) {
    case 1: return narrowed<std::uint8_t>(dtype, std::move(shape), values);
    case 2: return narrowed<std::uint16_t>(dtype, std::move(shape), values);
    case 4: return narrowed<std::uint32_t>(dtype, std::move(shape), values);
    default: return narrowed<std::uint64_t>(dtype, std::move(shape), values);
  }
}

Tensor TensorSource::make(const SparseTensorProto& proto) {
  const TensorProto& about = proto.values;
  const Tensor values = make(proto.values);
  const Tensor indices = make(proto.indices);
  Shape shape = checked_shape(about, proto.dims);
  const std::int64_t elements = checked_elements(about, shape);
  const std::int64_t count = values.elements();
  if (values.dtype() == DType::kString) fail(about, "sparse tensors of strings are not supported");
  if (indices.dtype() != DType::kInt64) fail(about, "sparse indices must be int64");
  const bool linear = indices.shape() == Shape{count};
  if (!linear && indices.shape() != Shape{count, shape.rank()}) {
    fail(about, "sparse indices of shape " + indices.shape().str() + " do not fit " +
                    std::to_string(count) + " values of a tensor of shape " + shape.str());
  }
  const auto size = static_cast<std::int64_t>(dtype_size(values.dtype()));
  const std::int64_t bytes = checked_multiply(elements, size);
  budget_.take(static_cast<std::uint64_t>(bytes), "a sparse tensor's dense form");
  const std::vector<std::int64_t> strides = shape.strides();
  Tensor result = Tensor::allocate(values.dtype(), shape);
  std::memset(result.mutable_data(), 0, static_cast<std::size_t>(bytes));
  const auto* from = values.as<std::byte>();
  const auto* index = indices.as<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t at = linear ? index[i] : 0;
    bool inside = at >= 0 && at < elements;
    for (int axis = 0; !linear && axis < shape.rank(); ++axis) {
      const std::int64_t k = index[i * shape.rank() + axis];
      inside = inside && k >= 0 && k < shape[axis];
      if (inside) at += k * strides[static_cast<std::size_t>(axis)];
    }
    if (!inside) fail(about, "a sparse index is outside the shape " + shape.str());
    std::memcpy(result.mutable_as<std::byte>() + at * size, from + i * size,
                static_cast<std::size_t>(size));
  }
  return result;
}

}  // namespace lanewise::onnx
