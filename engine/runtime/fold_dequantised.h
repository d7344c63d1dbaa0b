// Weights that are stored as integers, as real numbers.
#pragma once

#include "engine/passes/passes.h"
#include "engine/runtime/options.h"

namespace lanewise {

// The walk leaves weights as integers where a pass may want them so (specialize.h); those that none
// wanted are made real numbers once.
void fold_dequantised(Graph& graph, const ConstantMaker& constants, const Options& options,
                      const LowerContext::SubgraphCompiler& compile);

}  // namespace lanewise
