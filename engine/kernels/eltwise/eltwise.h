// Element-wise float32 kernels: functions of one operand, and of two under broadcasting. Loops
// over more than two dimensions, threads and other types are the operators' affair.
#pragma once

#include <cstdint>

namespace lanewise {
enum class Isa : unsigned char;
}

namespace lanewise::kernels {

// alpha and beta are the ONNX operator's attributes in the order of its schema's text.
enum class Unary : std::uint8_t {
  kRelu,
  kLeakyRelu,  // alpha
  kElu,        // alpha
  kSelu,       // alpha, gamma
  kCelu,       // alpha
  kSigmoid,
  kTanh,
  kHardSigmoid,  // alpha, beta
  kHardSwish,
  kSoftplus,
  kSoftsign,
  kGelu,      // with erf
  kGeluTanh,  // the approximation with tanh
  kMish,
  kClip,             // least, most
  kThresholdedRelu,  // alpha
  kShrink,           // lambd, bias
  kSwish,            // alpha
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
  kCount
};

// y[i] = f(x[i]); x and y may be the same memory.
using UnaryRun = void (*)(const float* x, float* y, std::int64_t n, float alpha,
                          float beta) noexcept;

struct EltwiseUnary {
  UnaryRun run[static_cast<int>(Unary::kCount)];
};

enum class Binary : std::uint8_t { kAdd, kSub, kMul, kDiv, kMin, kMax, kPRelu, kCount };

// `rows` times `cols` results, dense in y. Strides in elements; 0 repeats an operand.
struct BinaryBlock {
  const float* a = nullptr;
  const float* b = nullptr;
  float* y = nullptr;
  std::int64_t rows = 0, cols = 0;
  std::int64_t a_row = 0, b_row = 0;
  std::int64_t a_col = 1, b_col = 1;
};

// y may be the memory of an operand that has y's own strides.
using BinaryRun = void (*)(const BinaryBlock& block) noexcept;

struct EltwiseBinary {
  BinaryRun run[static_cast<int>(Binary::kCount)];
};

const EltwiseUnary& eltwise_unary(Isa isa);
const EltwiseBinary& eltwise_binary(Isa isa);

}  // namespace lanewise::kernels
