// Matrix products by plain loops, for every number type.
#pragma once

#include "engine/cpu/matmul.h"

namespace lanewise {

// Integers wrap. float32 is for tests: it takes no activation.
Step lower_matmul_loops(MatmulProblem problem, const LowerContext& c);

}  // namespace lanewise
