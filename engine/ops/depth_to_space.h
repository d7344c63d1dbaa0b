// How DepthToSpace and SpaceToDepth move elements: a copy between strides.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/context.h"

namespace lanewise {

// Whether the channels are [depth, block, block], and not [block, block, depth].
bool columns_first(const OpContext& c);

// The box of [n, block row, block column, channel, row, column] between a tensor with channels in
// blocks (`deep`) and one with pixels in blocks (`wide`), with the strides of both.
struct BlockStrides {
  std::vector<std::int64_t> deep, wide;
  Shape shape;
};

BlockStrides block_strides(const Shape& deep, Layout deep_layout, const Shape& wide,
                           Layout wide_layout, std::int64_t block, bool crd);

}  // namespace lanewise
