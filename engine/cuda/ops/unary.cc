// Element-wise functions of one operand, Cast among them.
#include "engine/cuda/eltwise.h"

namespace lanewise::cuda {
namespace {

template <Fn f>
Step lower(CudaLowerContext& c) {
  float a = 0.0f, b = 0.0f;
  switch (f) {
    case Fn::kLeakyRelu:
    case Fn::kElu:
    case Fn::kCelu:
    case Fn::kThresholdedRelu:
    case Fn::kSwish: a = c.attr_float("alpha"); break;
    case Fn::kHardSigmoid:
    case Fn::kAffine:
      a = c.attr_float("alpha");
      b = c.attr_float("beta");
      break;
    case Fn::kSelu:
      a = c.attr_float("alpha");
      b = c.attr_float("gamma");
      break;
    case Fn::kShrink:
      a = c.attr_float("lambd");
      b = c.attr_float("bias");
      break;
    case Fn::kIsInf:
      a = static_cast<float>(c.attr_int("detect_positive"));
      b = static_cast<float>(c.attr_int("detect_negative"));
      break;
    default: break;
  }
  const bool counts =
      f == Fn::kRelu || f == Fn::kAbs || f == Fn::kNeg || f == Fn::kSign || f == Fn::kNot;
  if (!counts && is_integer(c.dtype(0))) c.refuse("the device has no such function of integers");
  return Eltwise(c).then(f, a, b).finish();
}

Step lower_gelu(CudaLowerContext& c) {
  return c.attr_string("approximate") == "tanh" ? lower<Fn::kGeluTanh>(c) : lower<Fn::kGelu>(c);
}

Step lower_clip(CudaLowerContext& c) {
  Eltwise chain(c);
  if (c.has_input(1)) chain.with(Fn::kMax, {1});
  if (c.has_input(2)) chain.with(Fn::kMin, {2});
  return chain.finish();
}

Step lower_cast(CudaLowerContext& c) { return Eltwise(c).then(Fn::kSame).finish(); }

constexpr CudaOp kOps[] = {{.name = "Relu", .lower = lower<Fn::kRelu>},
                           {.name = "LeakyRelu", .lower = lower<Fn::kLeakyRelu>},
                           {.name = "Elu", .lower = lower<Fn::kElu>},
                           {.name = "Selu", .lower = lower<Fn::kSelu>},
                           {.name = "Celu", .lower = lower<Fn::kCelu>},
                           {.name = "Sigmoid", .lower = lower<Fn::kSigmoid>},
                           {.name = "Tanh", .lower = lower<Fn::kTanh>},
                           {.name = "HardSigmoid", .lower = lower<Fn::kHardSigmoid>},
                           {.name = "HardSwish", .lower = lower<Fn::kHardSwish>},
                           {.name = "Softplus", .lower = lower<Fn::kSoftplus>},
                           {.name = "Softsign", .lower = lower<Fn::kSoftsign>},
                           {.name = "Gelu", .lower = lower_gelu},
                           {.name = "Mish", .lower = lower<Fn::kMish>},
                           {.name = "ThresholdedRelu", .lower = lower<Fn::kThresholdedRelu>},
                           {.name = "Shrink", .lower = lower<Fn::kShrink>},
                           {.name = "Swish", .lower = lower<Fn::kSwish>},
                           {.name = "Clip", .lower = lower_clip},
                           {.name = "Abs", .lower = lower<Fn::kAbs>},
                           {.name = "Neg", .lower = lower<Fn::kNeg>},
                           {.name = "Sign", .lower = lower<Fn::kSign>},
                           {.name = "Erf", .lower = lower<Fn::kErf>},
                           {.name = "Sqrt", .lower = lower<Fn::kSqrt>},
                           {.name = "Exp", .lower = lower<Fn::kExp>},
                           {.name = "Log", .lower = lower<Fn::kLog>},
                           {.name = "Reciprocal", .lower = lower<Fn::kReciprocal>},
                           {.name = "Floor", .lower = lower<Fn::kFloor>},
                           {.name = "Ceil", .lower = lower<Fn::kCeil>},
                           {.name = "Round", .lower = lower<Fn::kRound>},
                           {.name = "Sin", .lower = lower<Fn::kSin>},
                           {.name = "Cos", .lower = lower<Fn::kCos>},
                           {.name = "Tan", .lower = lower<Fn::kTan>},
                           {.name = "Asin", .lower = lower<Fn::kAsin>},
                           {.name = "Acos", .lower = lower<Fn::kAcos>},
                           {.name = "Atan", .lower = lower<Fn::kAtan>},
                           {.name = "Sinh", .lower = lower<Fn::kSinh>},
                           {.name = "Cosh", .lower = lower<Fn::kCosh>},
                           {.name = "Asinh", .lower = lower<Fn::kAsinh>},
                           {.name = "Acosh", .lower = lower<Fn::kAcosh>},
                           {.name = "Atanh", .lower = lower<Fn::kAtanh>},
                           {.name = "Not", .lower = lower<Fn::kNot>},
                           {.name = "IsNaN", .lower = lower<Fn::kIsNaN>},
                           {.name = "IsInf", .lower = lower<Fn::kIsInf>},
                           {.name = "Affine", .lower = lower<Fn::kAffine>},
                           {.name = "Cast", .lower = lower_cast}};

}  // namespace

extern const CudaOpTable unary_cuda_ops;
const CudaOpTable unary_cuda_ops = {kOps};

}  // namespace lanewise::cuda
