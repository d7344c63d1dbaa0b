// How a shape and a layout together place bytes: dimensions in memory order, axes, strides.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/tensor.h"

namespace lanewise {

// The dimensions in memory order, outermost first. Below rank 3 the layouts are the same.
Shape physical(const Shape& shape, Layout layout);

// Position in memory order of a dimension of the shape.
int physical_axis(int axis, int rank, Layout layout);

// Strides in elements, one for each dimension of `out` in `out`'s memory order, of an input that is
// broadcast to `out` (ONNX rules): 0 where the input has size 1 or no such dimension.
std::vector<std::int64_t> broadcast_strides(const Shape& in, Layout in_layout, const Shape& out,
                                            Layout out_layout);

// True when both layouts place this shape's bytes alike (one channel, or one position).
bool same_bytes(const Shape& shape, Layout a, Layout b);

}  // namespace lanewise
