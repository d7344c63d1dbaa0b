// Einstein summation: operands are reduced and permuted, then contracted pair by pair as batched
// matrix products.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {

// A dimension of an operand: which index of the equation it is, its own size (1 where it is
// broadcast) and its stride in elements. No label stands twice in one operand.
struct EinsumDim {
  int label = 0;
  std::int64_t size = 1, stride = 0;
};
using EinsumOperand = std::vector<EinsumDim>;

// Input i of the step is operands[i]; output 0 is dense over `output`, whose labels the operands
// have. All sizes are at least one.
Step lower_einsum_operands(std::vector<EinsumOperand> operands, const EinsumOperand& output,
                           const LowerContext& c);

}  // namespace lanewise
