// Transposed convolution on the CPU.
#pragma once

#include "engine/cpu/conv/conv.h"

namespace lanewise {

// y[o] = sum over taps k with i * stride = o + pad - k * dilation of x[i] W[k]: `in` and `out` are
// those of the transposed convolution, `pad` may exceed what the kernel covers, and weights are as
// in ONNX, [channels][outputs / group][kernel...]. Inputs 0 and 2 of the step are activations and
// bias; the activation of the problem follows.
Step lower_conv_transposed(const ConvProblem& problem, const LowerContext& c);

// The algorithms that compete for float32 activations that lie channels-last.
extern const ConvAlgorithm transposed_phases, transposed_taps;

}  // namespace lanewise
