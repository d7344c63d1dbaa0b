// What recurrent.cu computes: one time step of an LSTM, GRU or RNN in one direction.
#pragma once

#include "shared.cuh"

namespace lanewise::cuda {

// Sums of gates from the inputs are there; those from the state are made by the kernel, from
// weights that lie [input unit][gate][unit] and with ONNX's order of gates. Biases are ONNX's B of
// the direction (those of W, then those of R), or null. States are [batch][unit].
struct RecurrentCall {
  const void* sums = nullptr;     // [batch][gate][unit] of this step
  const void* weights = nullptr;  // R
  const void* bias = nullptr;
  const void* peepholes = nullptr;  // of an LSTM, i, o, f: [3][unit], or null
  const void *h = nullptr, *c = nullptr;  // null: zeros
  void *h_out = nullptr, *c_out = nullptr;
  void* reset_h = nullptr;  // GRU with the reset before the product: [batch][unit] between passes
  void* update = nullptr;   // likewise: z
  unsigned batch = 0, hidden = 0;
  int pass = 0;  // of that GRU: 0 makes z and r * h, 1 the state
};
constexpr int kUnits = 32, kSumParts = 8;  // threads of a block: units by parts of a sum

}  // namespace lanewise::cuda
