// Choosing and launching copies.
#include "engine/cuda/copy.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/cuda/device.h"
#include "engine/cuda/eltwise.h"
#include "engine/graph/layout.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kMostGrid = 65535;

// Whether the box is a stack of dense matrices that are transposed.
bool transposes(const std::vector<CopyDim>& dims) {
  if (dims.size() < 2 || dims.size() > 3) return false;
  const CopyDim &row = dims[dims.size() - 2], &column = dims.back();
  const std::int64_t matrix = row.size * column.size;
  const bool dense = column.out_stride == 1 && row.out_stride == column.size &&
                     row.in_stride == 1 && column.in_stride == row.size;
  return dense &&
         (dims.size() == 2 || (dims[0].in_stride == matrix && dims[0].out_stride == matrix));
}

}  // namespace

std::string bytes_suffix(const CudaLowerContext& c, DType dtype) {
  const std::size_t size = dtype_size(dtype);
  if (size != 1 && size != 2 && size != 4 && size != 8)
    c.refuse("the device does not move " + std::string(dtype_name(dtype)));
  return std::to_string(size);
}

DeviceCopy::DeviceCopy(const CudaLowerContext& c, std::vector<CopyDim> dims, DType dtype)
    : element_bytes_(static_cast<std::int64_t>(dtype_size(dtype))) {
  dims = merged_box(std::move(dims));
  std::int64_t elements = 1;
  for (const CopyDim& d : dims) elements = checked_multiply(elements, d.size);
  copy_.elements = counted(c, elements);
  if (transposes(dims)) {
    const CopyDim &row = dims[dims.size() - 2], &column = dims.back();
    transpose_.batch = dims.size() == 3 ? static_cast<unsigned>(dims[0].size) : 1;
    transpose_.rows = static_cast<unsigned>(column.size);
    transpose_.columns = static_cast<unsigned>(row.size);
    transposes_ = transpose_.rows <= kMostGrid * kTile;
  }
  const std::string suffix = bytes_suffix(c, dtype);
  kernel_ = c.kernel("copy", (transposes_ ? "transpose_" : "copy_") + suffix);
  if (dims.size() > kMostDims) c.refuse("it moves along more than 8 dimensions");
  copy_.dims.rank = static_cast<int>(dims.size());
  for (std::size_t d = 0; d < dims.size(); ++d) {
    copy_.dims.size[d] = divisor_of(static_cast<unsigned>(dims[d].size));
    copy_.x_stride[d] = static_cast<int>(dims[d].in_stride);
    copy_.y_stride[d] = static_cast<int>(dims[d].out_stride);
  }
}

void DeviceCopy::enqueue(const RunContext& run, const void* x, std::int64_t x_offset, void* y,
                         std::int64_t y_offset) const {
  if (copy_.elements == 0) return;
  const auto* from = static_cast<const std::byte*>(x) + x_offset * element_bytes_;
  auto* to = static_cast<std::byte*>(y) + y_offset * element_bytes_;
  if (transposes_) {
    TransposeCall now = transpose_;
    now.x = from;
    now.y = to;
    const Dim3 grid{(now.columns + kTile - 1) / kTile, (now.rows + kTile - 1) / kTile,
                    std::min(now.batch, kMostGrid)};
    return kernel_.launch(run, grid, {kTile, kTileRows}, 0, now);
  }
  CopyCall now = copy_;
  now.x = from;
  now.y = to;
  kernel_.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
}

Step table_copy(const CudaLowerContext& c, const std::vector<std::vector<std::int64_t>>& tables,
                int fill, std::string algorithm) {
  const int rank = c.out_shape(0).rank();
  if (rank > kMostDims) c.refuse("it has more than 8 dimensions");
  CopyCall call;
  call.elements = counted(c, c.out_shape(0).elements());
  (void)counted(c, c.shape(0).elements());
  call.tables = true;
  call.dims.rank = rank;
  const std::vector<std::int64_t> in = layout_strides(c.shape(0), c.layout(0));
  const std::vector<std::int64_t> out = layout_strides(c.out_shape(0), c.out_layout(0));
  std::vector<std::shared_ptr<const std::byte>> held;
  for (int axis = 0; axis < rank; ++axis) {
    const auto from = static_cast<std::size_t>(axis);
    const auto place = physical_axis(axis, rank, c.out_layout(0));
    call.dims.size[place] = divisor_of(static_cast<unsigned>(tables[from].size()));
    call.x_stride[place] = static_cast<int>(in[from]);
    call.y_stride[place] = static_cast<int>(out[from]);
    bool moves = false;
    for (std::size_t i = 0; i < tables[from].size(); ++i)
      moves = moves || tables[from][i] != static_cast<std::int64_t>(i);
    if (!moves) continue;
    const std::vector<int> table(tables[from].begin(), tables[from].end());
    held.push_back(c.device()->upload(table.data(), table.size() * sizeof(int)));
    call.table[place] = reinterpret_cast<const int*>(held.back().get());
  }
  const Kernel kernel = c.kernel("copy", "copy_" + bytes_suffix(c, c.output(0).dtype));
  Step step;
  step.algorithm = std::move(algorithm);
  step.run = [=, held = std::move(held)](const RunContext& run) {
    CopyCall now = call;
    now.x = run.inputs[0];
    now.y = run.outputs[0];
    if (fill >= 0 && run.has_in(fill)) now.fill = run.in<void>(fill);
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

}  // namespace lanewise::cuda
