// Which elements a Slice node takes, resolved from its inputs.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/context.h"

namespace lanewise {

// Element `start + i * step` along each dimension, `out` of them.
struct Slices {
  std::vector<std::int64_t> start, step;
  Shape out;
};

// Needs the contents of inputs 1 to 4.
Slices resolve_slices(const OpContext& c);

}  // namespace lanewise
