// Where the elements of a Pad node's result come from.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/context.h"

namespace lanewise {

// For each axis the input index that each output index reads, -1 for the constant. Needs the
// contents of inputs 1 and 3.
std::vector<std::vector<std::int64_t>> pad_sources(const OpContext& c);

}  // namespace lanewise
