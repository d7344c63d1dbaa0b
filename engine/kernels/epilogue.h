// What GEMM and convolution do to a result while it is still in registers, and the element-wise
// functions that can stand there.
#pragma once

#include <cstdint>

namespace lanewise::kernels {

// alpha and beta are the ONNX operator's own attributes.
enum class Activation : std::uint8_t {
  kNone,
  kRelu,       // max(x, 0)
  kLeakyRelu,  // x < 0 ? alpha x : x
  kClip,       // min(max(x, alpha), beta)
  kSigmoid,    // 1 / (1 + exp(-x))
  kTanh,
  kHardSigmoid,  // max(0, min(1, alpha x + beta))
  kHardSwish,    // x max(0, min(1, x / 6 + 0.5))
  kSilu,         // x sigmoid(x)
  kElu,          // x < 0 ? alpha (exp(x) - 1) : x
  kGelu,         // x / 2 (1 + erf(x / sqrt 2))
};

// An activation with its parameters.
struct ActivationCall {
  Activation function = Activation::kNone;
  float alpha = 0.0f, beta = 0.0f;
};

// y = activation(x + bias[column] + residual[row, column])
struct Epilogue {
  const float* bias = nullptr;       // one per output column, or null
  const float* residual = nullptr;   // same rows and columns as the output, or null
  std::int64_t residual_stride = 0;  // elements between its rows
  Activation activation = Activation::kNone;
  float alpha = 0.0f, beta = 0.0f;
};

}  // namespace lanewise::kernels
