// The numbers of a convolution, transposed or not, from its shapes and its window.
#pragma once

#include "engine/cpu/conv/conv.h"
#include "engine/ops/window.h"

namespace lanewise {

// Without activation. Throws UnsupportedError for more than three spatial axes.
ConvProblem conv_problem(const LowerContext& c, const Window& window);

}  // namespace lanewise
