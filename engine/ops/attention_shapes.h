// How the operators of the attention family read heads out of their inputs' shapes.
#pragma once

#include "engine/cpu/head_products.h"
#include "engine/graph/op.h"

namespace lanewise {

// Of inputs 0 to 2 (Q, K, V), all of rank 4, [batch, head, row, element], or of rank 3,
// [batch, row, head * element], with the heads in q_num_heads and kv_num_heads. `past` rows of keys
// stand before those of K. The result's array Y has Q's form. Fails when they do not fit.
HeadShapes head_shapes(const OpContext& c, std::int64_t past);

// The attribute 'scale', or 1 / sqrt(size).
double scale_of(const OpContext& c, std::int64_t size);

// The attribute 'softmax_precision' as a type, kUndefined when it is absent; fails when it is not
// a floating type.
DType softmax_precision(const OpContext& c);

}  // namespace lanewise
