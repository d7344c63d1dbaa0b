// Memory order of channels-last values.
#include "engine/graph/layout.h"

namespace lanewise {
namespace {

bool permuted(int rank, Layout layout) { return layout == Layout::kChannelsLast && rank >= 3; }

}  // namespace

int physical_axis(int axis, int rank, Layout layout) {
  if (!permuted(rank, layout) || axis == 0) return axis;
  return axis == 1 ? rank - 1 : axis - 1;
}

Shape physical(const Shape& shape, Layout layout) {
  Shape result = shape;
  for (int i = 0; i < shape.rank(); ++i) result[physical_axis(i, shape.rank(), layout)] = shape[i];
  return result;
}

std::vector<std::int64_t> broadcast_strides(const Shape& in, Layout in_layout, const Shape& out,
                                            Layout out_layout) {
  const std::vector<std::int64_t> dense = physical(in, in_layout).strides();
  std::vector<std::int64_t> result(static_cast<std::size_t>(out.rank()), 0);
  const int missing = out.rank() - in.rank();
  for (int i = 0; i < in.rank(); ++i) {
    const int to = physical_axis(i + missing, out.rank(), out_layout);
    const int from = physical_axis(i, in.rank(), in_layout);
    if (in[i] != 1) result[static_cast<std::size_t>(to)] = dense[static_cast<std::size_t>(from)];
  }
  return result;
}

bool same_bytes(const Shape& shape, Layout a, Layout b) {
  if (a == b || shape.rank() < 3 || shape[1] == 1) return true;
  for (int i = 2; i < shape.rank(); ++i) {
    if (shape[i] != 1) return false;
  }
  return true;
}

}  // namespace lanewise
