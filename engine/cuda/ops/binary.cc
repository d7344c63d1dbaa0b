// Element-wise functions of several operands under broadcasting.
#include "engine/cuda/eltwise.h"

namespace lanewise::cuda {
namespace {

template <Fn f>
Step lower(CudaLowerContext& c) {
  return Eltwise(c).with(f, {1}).finish();
}

Step lower_mod(CudaLowerContext& c) {
  return c.attr_int("fmod") != 0 ? lower<Fn::kFmod>(c) : lower<Fn::kMod>(c);
}

// Operands join the chain one by one.
template <Fn f>
Step lower_many(CudaLowerContext& c) {
  Eltwise chain(c);
  for (int i = 1; i < c.num_inputs(); ++i) chain.with(f, {i});
  return chain.finish();
}

Step lower_mean(CudaLowerContext& c) {
  Eltwise chain(c);
  for (int i = 1; i < c.num_inputs(); ++i) chain.with(Fn::kAdd, {i});
  return chain.then(Fn::kAffine, 1.0f / static_cast<float>(c.num_inputs())).finish();
}

Step lower_where(CudaLowerContext& c) { return Eltwise(c).with(Fn::kSelect, {1, 2}).finish(); }

constexpr CudaOp kOps[] = {{.name = "Add", .lower = lower<Fn::kAdd>},
                           {.name = "Sub", .lower = lower<Fn::kSub>},
                           {.name = "Mul", .lower = lower<Fn::kMul>},
                           {.name = "Div", .lower = lower<Fn::kDiv>},
                           {.name = "Pow", .lower = lower<Fn::kPow>},
                           {.name = "PRelu", .lower = lower<Fn::kPRelu>},
                           {.name = "Mod", .lower = lower_mod},
                           {.name = "Equal", .lower = lower<Fn::kEqual>},
                           {.name = "Greater", .lower = lower<Fn::kGreater>},
                           {.name = "Less", .lower = lower<Fn::kLess>},
                           {.name = "GreaterOrEqual", .lower = lower<Fn::kGreaterOrEqual>},
                           {.name = "LessOrEqual", .lower = lower<Fn::kLessOrEqual>},
                           {.name = "And", .lower = lower<Fn::kAnd>},
                           {.name = "Or", .lower = lower<Fn::kOr>},
                           {.name = "Xor", .lower = lower<Fn::kXor>},
                           {.name = "BitwiseAnd", .lower = lower<Fn::kBitAnd>},
                           {.name = "BitwiseOr", .lower = lower<Fn::kBitOr>},
                           {.name = "BitwiseXor", .lower = lower<Fn::kBitXor>},
                           {.name = "Sum", .lower = lower_many<Fn::kAdd>},
                           {.name = "Max", .lower = lower_many<Fn::kMax>},
                           {.name = "Min", .lower = lower_many<Fn::kMin>},
                           {.name = "Mean", .lower = lower_mean},
                           {.name = "Where", .lower = lower_where}};

}  // namespace

extern const CudaOpTable binary_cuda_ops;
const CudaOpTable binary_cuda_ops = {kOps};

}  // namespace lanewise::cuda
