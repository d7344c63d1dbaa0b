// Names of the activations that GEMM and convolution apply in registers.
#pragma once

#include <optional>
#include <string_view>

#include "engine/kernels/epilogue.h"

namespace lanewise {

// The activation of that operator's name ("Relu", "Silu", ...; "" is none), or nothing when no
// epilogue computes it.
std::optional<kernels::Activation> find_activation(std::string_view name);

}  // namespace lanewise
