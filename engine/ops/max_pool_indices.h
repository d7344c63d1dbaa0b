// MaxPool with its second output.
#pragma once

#include "engine/graph/op.h"
#include "engine/ops/window.h"

namespace lanewise {

// A step that writes the maxima, in the planned layout, and their positions in the row-major input
// (the spatial part counted column-major where the attribute `storage_order` is 1), row-major. Of
// equal maxima the first in row-major order counts; a window that is all padding has index -1.
Step lower_max_with_indices(const LowerContext& c, const Window& window);

}  // namespace lanewise
