// Convolution of 8-bit numbers with exact int32 sums, for QLinearConv and ConvInteger.
#pragma once

#include "engine/graph/op.h"
#include "engine/ops/window.h"

namespace lanewise {

// Where the node has its inputs; those past the node's last are absent.
struct IntConvInputs {
  int x = 0, x_zero = 0, w = 0, w_zero = 0;
  // For a requantised result; -1 in an operator that gives the sums themselves.
  int x_scale = -1, w_scale = -1, y_scale = -1, y_zero = -1, bias = -1;
  bool clamped = false;  // the attributes `low` and `high` bound a requantised result
};

// The window of a node whose weights are not input 1. Checks the weights' shape and the groups.
Window int_conv_window(const OpContext& c, const IntConvInputs& inputs);

Step lower_int_conv(LowerContext& c, const IntConvInputs& inputs);

}  // namespace lanewise
