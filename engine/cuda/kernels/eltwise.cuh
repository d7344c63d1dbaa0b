// What eltwise.cu computes: a chain of functions applied to each element, whose operands are
// broadcast arrays. The chain is data, so that nothing is compiled while a plan is made.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// x is the value so far, o an operand, a and b the step's numbers.
enum class Fn : int {
  kSame,
  // of one value
  kRelu,
  kLeakyRelu,
  kElu,   // a
  kSelu,  // a, b = gamma
  kCelu,
  kSigmoid,
  kTanh,
  kHardSigmoid,
  kHardSwish,
  kSoftplus,
  kSoftsign,
  kGelu,
  kGeluTanh,
  kMish,
  kClip,
  kThresholdedRelu,
  kShrink,  // a = lambd, b = bias
  kSwish,
  kErf,
  kAbs,
  kNeg,
  kSqrt,
  kExp,
  kLog,
  kReciprocal,
  kFloor,
  kCeil,
  kRound,
  kSign,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAsinh,
  kAcosh,
  kAtanh,
  kNot,
  kIsNaN,
  kIsInf,   // a: counts +infinity, b: counts -infinity
  kAffine,  // a x + b
  // of two: x and o
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kMin,
  kMax,
  kPRelu,
  kMod,   // the sign of o
  kFmod,  // the sign of x
  kEqual,
  kGreater,
  kLess,
  kGreaterOrEqual,
  kLessOrEqual,
  kAnd,
  kOr,
  kXor,
  kBitAnd,
  kBitOr,
  kBitXor,
  // of three: x != 0 ? o : the operand after o
  kSelect,
};

constexpr int kMostOperands = 8, kMostSteps = 12;

struct EltwiseOperand {
  const void* data = nullptr;
  int type = 1;                 // as in ONNX
  int strides[kMostDims] = {};  // of each dimension of the result
};

struct EltwiseStep {
  Fn function = Fn::kSame;
  int operand = 0;
  float a = 0.0f, b = 0.0f;
};

struct EltwiseCall {
  void* y = nullptr;
  int type = 1;
  unsigned elements = 0;
  // Every operand lies as the result does, or has one element: see `single`.
  bool dense = false;
  unsigned single = 0;  // bit i: operand i has one element
  Dims dims;
  EltwiseOperand operands[kMostOperands];  // 0 is where the chain begins
  int steps = 0;
  EltwiseStep program[kMostSteps];
};

}  // namespace lanewise::cuda
