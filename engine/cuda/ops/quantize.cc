// QuantizeLinear and DequantizeLinear, as chains of element-wise functions in float.
#include "engine/cuda/eltwise.h"
#include "engine/ops/quant_placement.h"

namespace lanewise::cuda {
namespace {

// Where the scales of channels lie; of no account when there is one scale.
int scale_axis(const CudaLowerContext& c) {
  return c.shape(1).elements() == 1 ? 0 : c.attr_axis(c.shape(0).rank());
}

Step lower_quantize(CudaLowerContext& c) {
  const kernels::QuantRange range = quant_range(c.output(0).dtype);
  if (range.high <= range.low) c.refuse("the result is of a small float");
  const int axis = scale_axis(c);
  Eltwise chain(c);
  chain.along(Fn::kDiv, 1, axis).then(Fn::kRound);
  if (c.has_input(2)) chain.along(Fn::kAdd, 2, axis);
  return chain.then(Fn::kClip, static_cast<float>(range.low), static_cast<float>(range.high))
      .finish();
}

Step lower_dequantize(CudaLowerContext& c) {
  const kernels::QuantRange range = quant_range(c.dtype(0));
  if (c.dtype(0) != DType::kInt32 && range.high <= range.low)
    c.refuse("the input is of a small float");
  const int axis = scale_axis(c);
  Eltwise chain(c);
  if (c.has_input(2)) chain.along(Fn::kSub, 2, axis);
  return chain.along(Fn::kMul, 1, axis).finish();
}

constexpr CudaOp kOps[] = {{.name = "QuantizeLinear", .lower = lower_quantize},
                           {.name = "DequantizeLinear", .lower = lower_dequantize}};

}  // namespace

extern const CudaOpTable quantize_cuda_ops;
const CudaOpTable quantize_cuda_ops = {kOps};

}  // namespace lanewise::cuda
