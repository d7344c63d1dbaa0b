// Turns index tables into offsets once, then copies row by row.
#include "engine/cpu/indexed_copy.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/layout.h"

namespace lanewise {
namespace {

constexpr std::int64_t kGrainBytes = 64 << 10;  // below this a thread costs more than it copies

bool is_identity(const std::vector<std::int64_t>& sources, std::int64_t size) {
  const auto [begin, end] = longest_stretch(sources);
  return end - begin == size && static_cast<std::int64_t>(sources.size()) == size;
}

}  // namespace

std::pair<std::int64_t, std::int64_t> longest_stretch(const std::vector<std::int64_t>& sources) {
  std::int64_t best_begin = 0, best_end = 0, begin = 0;
  const auto size = static_cast<std::int64_t>(sources.size());
  for (std::int64_t i = 0; i < size; ++i) {
    const std::int64_t source = sources[static_cast<std::size_t>(i)];
    if (source < 0) {
      begin = i + 1;
      continue;
    }
    if (i > begin && source != sources[static_cast<std::size_t>(i - 1)] + 1) begin = i;
    if (i + 1 - begin > best_end - best_begin) {
      std::tie(best_begin, best_end) = std::pair(begin, i + 1);
    }
  }
  return {best_begin, best_end};
}

IndexedCopy::IndexedCopy(const Shape& in, Layout in_layout, Layout out_layout,
                         const std::vector<std::vector<std::int64_t>>& sources, DType dtype)
    : dtype_(dtype) {
  const int rank = in.rank();
  const std::vector<std::int64_t> strides = layout_strides(in, in_layout);
  std::vector<std::size_t> order(static_cast<std::size_t>(rank));
  for (int axis = 0; axis < rank; ++axis) {
    order[static_cast<std::size_t>(physical_axis(axis, rank, out_layout))] =
        static_cast<std::size_t>(axis);
    if (sources[static_cast<std::size_t>(axis)].empty()) rows_ = 0;
  }
  if (rows_ == 0) return;
  while (!order.empty()) {
    const std::size_t axis = order.back();
    const std::int64_t size = in[static_cast<int>(axis)];
    if (strides[axis] != run_ || !is_identity(sources[axis], size)) break;
    run_ *= size;
    order.pop_back();
  }
  for (std::size_t axis : order) {
    Axis row;
    if (strides[axis] == run_) std::tie(row.begin, row.end) = longest_stretch(sources[axis]);
    for (std::int64_t source : sources[axis]) {
      row.offsets.push_back(source < 0 ? -1 : source * strides[axis]);
    }
    axes_.push_back(std::move(row));
  }
  if (axes_.empty()) axes_.push_back({{0}, 0, 1});
  for (std::size_t i = 0; i + 1 < axes_.size(); ++i) {
    rows_ *= static_cast<std::int64_t>(axes_[i].offsets.size());
  }
}

// The offset into the input of a row, or -1 when it holds the fill value only.
std::int64_t IndexedCopy::row_offset(std::int64_t row) const {
  std::int64_t offset = 0;
  for (std::size_t i = axes_.size() - 1; i-- > 0;) {
    const auto size = static_cast<std::int64_t>(axes_[i].offsets.size());
    const std::int64_t step = axes_[i].offsets[static_cast<std::size_t>(row % size)];
    if (step < 0) return -1;
    offset += step;
    row /= size;
  }
  return offset;
}

template <class T>
void IndexedCopy::copy_row(const T* in, const T& fill, T* out) const {
  const Axis& axis = axes_.back();
  const std::int64_t* offsets = axis.offsets.data();
  const auto pieces = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (offsets[i] < 0) {
        std::fill_n(out + i * run_, run_, fill);
      } else if (run_ == 1) {
        out[i] = in[offsets[i]];
      } else {
        std::copy_n(in + offsets[i], run_, out + i * run_);
      }
    }
  };
  pieces(0, axis.begin);
  if (axis.begin < axis.end) {
    std::copy_n(in + offsets[axis.begin], (axis.end - axis.begin) * run_, out + axis.begin * run_);
  }
  pieces(axis.end, static_cast<std::int64_t>(axis.offsets.size()));
}

template <class T>
void IndexedCopy::copy_rows(const T* in, const T& fill, T* out, int threads) const {
  const std::int64_t row_elements = static_cast<std::int64_t>(axes_.back().offsets.size()) * run_;
  const std::int64_t row_bytes =
      std::max<std::int64_t>(1, row_elements * static_cast<std::int64_t>(sizeof(T)));
  parallel_for(
      threads, rows_, kGrainBytes / row_bytes + 1, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t before = -1;  // offset of the row above
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t offset = row_offset(row);
          if (row > begin && offset == before && offset >= 0) {  // enlarged: the same row again
            std::copy_n(out + (row - 1) * row_elements, row_elements, out + row * row_elements);
          } else if (offset < 0) {
            std::fill_n(out + row * row_elements, row_elements, fill);
          } else {
            copy_row(in + offset, fill, out + row * row_elements);
          }
          before = offset;
        }
      });
}

void IndexedCopy::run(const void* in, const void* fill, void* out, int threads) const {
  if (rows_ == 0) return;
  visit_element(dtype_, [&](auto type) {
    using T = typename decltype(type)::type;
    copy_rows(static_cast<const T*>(in), *static_cast<const T*>(fill), static_cast<T*>(out),
              threads);
  });
}

}  // namespace lanewise
