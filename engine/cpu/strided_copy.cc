// Normalises the box (drops, sorts and merges dimensions), then picks one of three inner loops.
#include "engine/cpu/strided_copy.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/graph/layout.h"
#include "engine/kernels/layout/layout.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockBytes = 32 << 10;  // one call of an inner loop: half of an L1 or so
constexpr std::int64_t kGrainBytes = 64 << 10;  // below this a thread costs more than it copies
// A block of a transpose: whole cache lines of either array, whatever the type.
constexpr std::int64_t kTransposeRows = 64, kTransposeColumns = 512;

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// When the innermost run is a few elements of 2 to 16 bytes in all, makes it one element.
std::int64_t widen(std::vector<CopyDim>& dims, std::int64_t bytes) {
  if (dims.empty() || dims.back().in_stride != 1 || dims.back().out_stride != 1) return bytes;
  const std::int64_t run = dims.back().size;
  const std::int64_t wide = run * bytes;
  if (wide != 2 && wide != 4 && wide != 8 && wide != 16) return bytes;
  for (std::size_t i = 0; i + 1 < dims.size(); ++i) {
    if (dims[i].in_stride % run != 0 || dims[i].out_stride % run != 0) return bytes;
  }
  dims.pop_back();
  for (CopyDim& d : dims) {
    d.in_stride /= run;
    d.out_stride /= run;
  }
  return wide;
}

}  // namespace

std::vector<CopyDim> merged_box(std::vector<CopyDim> dims) {
  std::erase_if(dims, [](const CopyDim& d) { return d.size == 1; });
  std::stable_sort(dims.begin(), dims.end(), [](const CopyDim& a, const CopyDim& b) {
    return std::llabs(a.out_stride) > std::llabs(b.out_stride);
  });
  std::vector<CopyDim> result;
  for (const CopyDim& d : dims) {
    if (!result.empty() && result.back().in_stride == d.in_stride * d.size &&
        result.back().out_stride == d.out_stride * d.size) {
      result.back() = {result.back().size * d.size, d.in_stride, d.out_stride};
    } else {
      result.push_back(d);
    }
  }
  return result;
}

std::vector<std::int64_t> layout_strides(const Shape& shape, Layout layout) {
  const std::vector<std::int64_t> in_memory = physical(shape, layout).strides();
  std::vector<std::int64_t> strides(in_memory.size());
  for (int i = 0; i < shape.rank(); ++i) {
    strides[static_cast<std::size_t>(i)] =
        in_memory[static_cast<std::size_t>(physical_axis(i, shape.rank(), layout))];
  }
  return strides;
}

std::vector<std::int64_t> value_strides(const ValueInfo& value) {
  Shape room = value.shape;
  if (value.embedding.within != kNoValue) room[1] = value.embedding.pitch;
  return layout_strides(room, value.layout);
}

std::vector<CopyDim> box(const Shape& shape, const std::vector<std::int64_t>& in_strides,
                         const std::vector<std::int64_t>& out_strides) {
  std::vector<CopyDim> dims;
  for (std::size_t i = 0; i < in_strides.size(); ++i) {
    dims.push_back({shape[static_cast<int>(i)], in_strides[i], out_strides[i]});
  }
  return dims;
}

StridedCopy::StridedCopy(std::vector<CopyDim> dims, DType dtype, Isa isa) {
  element_bytes_ = static_cast<std::int64_t>(dtype_size(dtype));
  element_ = element_bytes_;
  for (const CopyDim& d : dims) {
    if (d.size == 0) return;
  }
  choose_inner(merged_box(std::move(dims)), dtype, isa);
}

void StridedCopy::choose_inner(std::vector<CopyDim> dims, DType dtype, Isa isa) {
  if (dtype == DType::kString) {
    inner_ = copy_block<std::string>;
  } else {
    element_ = widen(dims, element_bytes_);
    switch (element_) {
      case 1: inner_ = copy_block<std::uint8_t>; break;
      case 2: inner_ = copy_block<std::uint16_t>; break;
      case 4: inner_ = copy_block<std::uint32_t>; break;
      case 8: inner_ = copy_block<std::uint64_t>; break;
      default: inner_ = copy_block<Bytes16>; break;
    }
  }
  if (!dims.empty()) {
    column_ = dims.back();
    dims.pop_back();
  } else {
    column_ = {1, 1, 1};
  }
  std::size_t row = dims.empty() ? 0 : dims.size() - 1;
  if (column_.out_stride == 1 && column_.in_stride > 1 && dtype != DType::kString) {
    const auto unit =
        std::find_if(dims.begin(), dims.end(), [](const CopyDim& d) { return d.in_stride == 1; });
    if (unit != dims.end()) {
      const kernels::Transpose& fn = kernels::transpose(isa);
      transpose_ = element_ == 1   ? fn.b1
                   : element_ == 2 ? fn.b2
                   : element_ == 4 ? fn.b4
                   : element_ == 8 ? fn.b8
                                   : fn.b16;
      inner_ = transpose_block;
      row = static_cast<std::size_t>(unit - dims.begin());
    }
  }
  if (!dims.empty()) {
    row_ = dims[row];
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(row));
  }
  block_columns_ = std::min(column_.size, transpose_ ? kTransposeColumns : kBlockBytes / element_);
  block_rows_ = std::min(
      row_.size, transpose_ ? kTransposeRows : ceil_divide(kBlockBytes, column_.size * element_));
  outer_ = std::move(dims);
  blocks_ = ceil_divide(row_.size, block_rows_) * ceil_divide(column_.size, block_columns_);
  for (const CopyDim& d : outer_) blocks_ *= d.size;
}

template <class T>
void StridedCopy::copy_block(const StridedCopy& copy, const std::byte* in, std::byte* out,
                             std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kBytes = sizeof(T);
  const CopyDim& column = copy.column_;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::byte* from = in + row * copy.row_.in_stride * kBytes;
    std::byte* to = out + row * copy.row_.out_stride * kBytes;
    if constexpr (std::is_same_v<T, std::string>) {
      for (std::int64_t i = 0; i < columns; ++i) {
        reinterpret_cast<T*>(to)[i * column.out_stride] =
            reinterpret_cast<const T*>(from)[i * column.in_stride];
      }
    } else if (column.in_stride == 1 && column.out_stride == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(columns * kBytes));
    } else if (column.in_stride == 0 && column.out_stride == 1) {
      T value;
      std::memcpy(&value, from, sizeof(T));
      for (std::int64_t i = 0; i < columns; ++i) std::memcpy(to + i * kBytes, &value, sizeof(T));
    } else {
      for (std::int64_t i = 0; i < columns; ++i) {
        std::memcpy(to + i * column.out_stride * kBytes, from + i * column.in_stride * kBytes,
                    sizeof(T));
      }
    }
  }
}

void StridedCopy::transpose_block(const StridedCopy& copy, const std::byte* in, std::byte* out,
                                  std::int64_t rows, std::int64_t columns) {
  copy.transpose_(in, copy.column_.in_stride, out, copy.row_.out_stride, columns, rows);
}

void StridedCopy::run_blocks(const std::byte* in, std::byte* out, std::int64_t begin,
                             std::int64_t end) const {
  const std::int64_t row_blocks = ceil_divide(row_.size, block_rows_);
  const std::int64_t column_blocks = ceil_divide(column_.size, block_columns_);
  for (std::int64_t block = begin; block < end; ++block) {
    const std::int64_t column = block % column_blocks * block_columns_;
    const std::int64_t row = block / column_blocks % row_blocks * block_rows_;
    std::int64_t in_at = row * row_.in_stride + column * column_.in_stride;
    std::int64_t out_at = row * row_.out_stride + column * column_.out_stride;
    std::int64_t rest = block / column_blocks / row_blocks;
    for (std::size_t i = outer_.size(); i-- > 0;) {
      const std::int64_t at = rest % outer_[i].size;
      rest /= outer_[i].size;
      in_at += at * outer_[i].in_stride;
      out_at += at * outer_[i].out_stride;
    }
    inner_(*this, in + in_at * element_, out + out_at * element_,
           std::min(block_rows_, row_.size - row), std::min(block_columns_, column_.size - column));
  }
}

void StridedCopy::run(const void* in, std::int64_t in_offset, void* out, std::int64_t out_offset,
                      int threads) const {
  if (blocks_ == 0) return;
  const std::byte* from = static_cast<const std::byte*>(in) + in_offset * element_bytes_;
  std::byte* to = static_cast<std::byte*>(out) + out_offset * element_bytes_;
  parallel_for(threads, blocks_, kGrainBytes / (block_rows_ * block_columns_ * element_) + 1,
               [&](std::int64_t begin, std::int64_t end) { run_blocks(from, to, begin, end); });
}

std::string StridedCopy::algorithm() const {
  if (transpose_) return "transpose";
  return column_.in_stride == 1 && column_.out_stride == 1 ? "copy" : "strided copy";
}

}  // namespace lanewise
