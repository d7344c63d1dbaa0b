// How a softmax divides its input.
#pragma once

#include <cstdint>

#include "engine/graph/context.h"

namespace lanewise {

// `outer` blocks of n elements by `inner` groups side by side; a softmax is taken over the n.
struct SoftmaxGroups {
  std::int64_t outer = 1, n = 1, inner = 1;
};

SoftmaxGroups softmax_groups(const LowerContext& c);

}  // namespace lanewise
