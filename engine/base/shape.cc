// Shape arithmetic.
#include "engine/base/shape.h"

#include <algorithm>

#include "engine/base/error.h"

namespace lanewise {

bool Shape::known() const {
  return std::none_of(dims_.begin(), dims_.end(), [](std::int64_t d) { return d < 0; });
}

std::int64_t Shape::elements() const { return elements(0, rank()); }

std::int64_t Shape::elements(int first, int last) const {
  // A zero anywhere makes the product zero, whatever the other dimensions would overflow to.
  for (int i = first; i < last; ++i) {
    if ((*this)[i] == 0) return 0;
  }
  std::int64_t count = 1;
  for (int i = first; i < last; ++i) count = checked_multiply(count, (*this)[i]);
  return count;
}

std::vector<std::int64_t> Shape::strides() const {
  std::vector<std::int64_t> result(dims_.size());
  std::int64_t stride = 1;
  for (std::size_t i = dims_.size(); i-- > 0;) {
    result[i] = stride;
    stride = checked_multiply(stride, std::max<std::int64_t>(dims_[i], 1));
  }
  return result;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int i = 0; i < rank(); ++i) {
    if (i > 0) text += ", ";
    text += (*this)[i] < 0 ? "?" : std::to_string((*this)[i]);
  }
  return text + "]";
}

std::int64_t checked_multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || product < 0) {
    throw ResourceError("a size overflows: " + std::to_string(a) + " x " + std::to_string(b) +
                        " elements or bytes do not fit in 63 bits; use smaller shapes");
  }
  return product;
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out(std::vector<std::int64_t>(static_cast<std::size_t>(rank)));
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank());
    const int ib = i - (rank - b.rank());
    const std::int64_t da = ia < 0 ? 1 : a[ia];
    const std::int64_t db = ib < 0 ? 1 : b[ib];
    if (da == db || db == 1) {
      out[i] = da;
    } else if (da == 1 || da == kUnknown) {
      out[i] = db;
    } else if (db == kUnknown) {
      out[i] = da;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<int> normalize_axis(std::int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) return std::nullopt;
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace lanewise
