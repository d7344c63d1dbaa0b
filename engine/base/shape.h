// Tensor shapes in ONNX order, with overflow-checked products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lanewise {

// A dimension whose size is not known (yet).
inline constexpr std::int64_t kUnknown = -1;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {}
  explicit Shape(std::span<const std::int64_t> dims) : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t& operator[](int i) { return dims_[static_cast<std::size_t>(i)]; }
  void push_back(std::int64_t dim) { dims_.push_back(dim); }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  const std::vector<std::int64_t>& dims() const { return dims_; }
  bool operator==(const Shape&) const = default;

  // True when no dimension is kUnknown.
  bool known() const;
  // Number of elements; throws ResourceError when it does not fit in 63 bits. Needs known().
  std::int64_t elements() const;
  // Product of the dimensions [first, last), as elements().
  std::int64_t elements(int first, int last) const;
  // Strides in elements of the dense row-major array of this shape.
  std::vector<std::int64_t> strides() const;
  // "[1, 3, ?, 224]"
  std::string str() const;

 private:
  std::vector<std::int64_t> dims_;
};

// a * b for sizes >= 0; throws ResourceError on overflow.
std::int64_t checked_multiply(std::int64_t a, std::int64_t b);

// The multidirectional broadcast of two shapes (ONNX Broadcasting.md), or nothing when they do
// not fit. An unknown dimension meets 1 or an unknown one as unknown, any other size as that size.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

// Maps an axis in [-rank, rank) to [0, rank), or nothing when it is outside.
std::optional<int> normalize_axis(std::int64_t axis, int rank);

}  // namespace lanewise
