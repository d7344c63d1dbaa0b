// Filters as Winograd's algorithm multiplies them. What the transforms compute is in
// engine/kernels/winograd; which layers use them is in winograd.cc.
#pragma once

#include "engine/cpu/conv/conv.h"
#include "engine/cpu/gemm.h"

namespace lanewise {

// Filters [outputs][channels][depth][3][3] to (tile + 2)^2 matrices [depth][channels][outputs], one
// after the other, each packed for `gemm`, whose taps are the depth; computed in float64 and
// rounded once. `tile` is 2 or 4.
void pack_winograd_weights(const ConvProblem& p, int tile, const GemmPlan& gemm,
                           const float* weights, int threads, float* packed);

}  // namespace lanewise
