// See quant_placement.h.
#include "engine/ops/quant_placement.h"

#include <string>

#include "engine/graph/layout.h"

namespace lanewise {
namespace {

constexpr std::int64_t kLargestBlock = std::int64_t{1} << 40;  // sums with sizes fit 63 bits

}  // namespace

kernels::QuantRange quant_range(DType dtype) {
  switch (dtype) {
    case DType::kUInt8: return {0, 255};
    case DType::kInt8: return {-128, 127};
    case DType::kUInt16: return {0, 65535};
    case DType::kInt16: return {-32768, 32767};
    case DType::kUInt4: return {0, 15};
    case DType::kInt4: return {-8, 7};
    case DType::kUInt2: return {0, 3};
    case DType::kInt2: return {-2, 1};
    default: return {0, -1};
  }
}

void check_granularity(const OpContext& c) {
  const Shape& x = c.shape(0);
  const Shape& scale = c.shape(1);
  if (c.has_input(2) && c.shape(2) != scale &&
      !(c.shape(2).elements() == 1 && scale.elements() == 1)) {
    c.fail("scale and zero point must have one shape, found " + scale.str() + " and " +
           c.shape(2).str());
  }
  const std::int64_t block = c.attr_int("block_size");
  if (block < 0 || block > kLargestBlock) {
    c.fail("attribute 'block_size' is " + std::to_string(block) + ", expected 0 to " +
           std::to_string(kLargestBlock));
  }
  if (block == 0 && scale.elements() == 1 && scale.rank() <= 1) return;
  const int axis = c.attr_axis(x.rank());
  if (block == 0) {
    if (scale.rank() == 1 && scale[0] == x[axis]) return;
    c.fail("scale must have 1 value, or one for each of the " + std::to_string(x[axis]) +
           " along axis " + std::to_string(axis) + " of input " + x.str() + "; found shape " +
           scale.str());
  }
  Shape wanted = x;
  wanted[axis] = (x[axis] + block - 1) / block;
  if (scale.rank() == x.rank()) {  // a last block may be cut, and one too many blocks is none
    Shape rest = scale;
    rest[axis] = wanted[axis];
    if (rest == wanted && scale[axis] >= wanted[axis]) return;
  }
  c.fail("scale for blocks of " + std::to_string(block) + " along axis " + std::to_string(axis) +
         " of input " + x.str() + " must have shape " + wanted.str() + ", found " + scale.str());
}

QuantPlacement quant_placement(const LowerContext& c) {
  const Shape& x = c.shape(0);
  const Shape& scale = c.shape(1);
  const std::int64_t block = c.attr_int("block_size");
  QuantPlacement result;
  if (block == 0 && scale.elements() == 1) {
    result.row = std::max<std::int64_t>(1, x.elements());
    return result;
  }
  const int axis = c.attr_axis(x.rank());
  const Shape memory = physical(x, c.layout(0));
  const int place = physical_axis(axis, x.rank(), c.layout(0));
  const std::vector<std::int64_t> strides = physical(scale, c.layout(1)).strides();
  for (int i = 0; i < x.rank(); ++i) {
    std::int64_t stride = block == 0 ? (i == place ? 1 : 0) : 0;
    if (block > 0) {
      // Both arrays have the same rank; the dimension of `i` lies elsewhere if the layouts differ.
      for (int k = 0; k < x.rank(); ++k) {
        if (physical_axis(k, x.rank(), c.layout(0)) != i) continue;
        stride = strides[static_cast<std::size_t>(physical_axis(k, x.rank(), c.layout(1)))];
      }
    }
    result.dims.push_back({memory[i], i == place && block > 0 ? block : 1, stride});
  }
  // Trailing dimensions without influence form one row.
  while (!result.dims.empty() && result.dims.back().stride == 0) {
    result.row *= result.dims.back().size;
    result.dims.pop_back();
  }
  result.each = result.row == 1;
  return result;
}

}  // namespace lanewise
