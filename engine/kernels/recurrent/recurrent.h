// What one time step of a recurrent layer is made of: a product with packed weights, and the cells
// that turn gate sums into the next state. Time, direction and batch are engine/cpu/recurrent's.
#pragma once

#include <cstdint>

namespace lanewise {
enum class Isa : unsigned char;
}

namespace lanewise::kernels {

// The activations that ONNX names for LSTM, GRU and RNN.
enum class Gate : std::uint8_t {
  kSigmoid,
  kTanh,
  kRelu,
  kAffine,           // alpha x + beta
  kLeakyRelu,        // x < 0 ? alpha x : x
  kThresholdedRelu,  // x < alpha ? 0 : x
  kScaledTanh,       // alpha tanh(beta x)
  kHardSigmoid,      // min(max(alpha x + beta, 0), 1)
  kElu,              // x < 0 ? alpha (exp(x) - 1) : x
  kSoftsign,         // x / (1 + |x|)
  kSoftplus,         // log(1 + exp(x))
};

struct GateFunction {
  Gate gate = Gate::kSigmoid;
  float alpha = 0.0f, beta = 0.0f;
};

// out[r, j] = (bias ? bias[j] : out[r, j]) + sum over i of a[r, i] w[j, i], summed in the order of
// i whatever the number of rows. `packed` holds w in panels of `panel` columns: [panel][i][column].
template <class T>
struct RowProduct {
  std::int64_t rows = 0, columns = 0, depth = 0;
  const T* a = nullptr;
  std::int64_t a_stride = 0;
  const T* packed = nullptr;
  const T* bias = nullptr;
  T* out = nullptr;
  std::int64_t out_stride = 0;
};

// One sequence, one step. Gate sums lie one after the other, `hidden` elements each, and are
// overwritten; sums are clipped to [-clip, clip] before their activation (infinity: no clipping).
template <class T>
struct LstmRow {
  std::int64_t hidden = 0;
  T* gates = nullptr;            // i, o, f, c
  T* h = nullptr;                // state, replaced
  T* c = nullptr;                // state, replaced
  const T* peepholes = nullptr;  // i, o, f; or null
  GateFunction functions[3];     // f, g, h of ONNX
  T clip = T{};
  bool coupled = false;  // the forget gate is 1 - i
};

template <class T>
struct GruRow {
  std::int64_t hidden = 0;
  T* gates = nullptr;         // z, r, h
  T* h = nullptr;             // state, replaced by gru_update
  T* reset = nullptr;         // see gru_reset
  GateFunction functions[2];  // f, g of ONNX
  T clip = T{};
  bool linear_before_reset = false;
};

template <class T>
struct RecurrentRows {
  int panel = 0;  // columns of one panel of packed weights
  void (*product)(const RowProduct<T>&) = nullptr;
  void (*lstm)(const LstmRow<T>&) = nullptr;
  // Activates z and r. linear_before_reset: adds r * reset (the product h R_h + bias) to the sum of
  // the hidden gate. Without it: reset = r * h, whose product is then added by the caller.
  void (*gru_reset)(const GruRow<T>&) = nullptr;
  void (*gru_update)(const GruRow<T>&) = nullptr;  // h = (1 - z) g(sum) + z h
  void (*rnn)(GateFunction f, T clip, std::int64_t hidden, const T* sums, T* h) = nullptr;
};

using Recurrent = RecurrentRows<float>;
using Recurrent64 = RecurrentRows<double>;
const Recurrent& recurrent(Isa isa);
const Recurrent64& recurrent64(Isa isa);

}  // namespace lanewise::kernels
