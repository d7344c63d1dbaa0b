// Which dimensions a reduction takes together.
#pragma once

#include <vector>

#include "engine/graph/context.h"

namespace lanewise {

// Of input 0, in ONNX's order. Needs the content of input 1, where it is given.
std::vector<bool> reduced_dimensions(const OpContext& c);

}  // namespace lanewise
