// Runs LSTM, GRU and RNN over time: packed weights, projection of the inputs in blocks of steps,
// directions, sequence lengths, split of the work over threads. The cells are kernels/recurrent's.
#pragma once

#include <cstdint>

#include "engine/graph/op.h"
#include "engine/kernels/recurrent/recurrent.h"

namespace lanewise {

enum class Cell : std::uint8_t { kRnn, kGru, kLstm };

// A recurrent node with its shapes. Inputs are X, W, R, B, sequence_lens, initial_h, initial_c, P.
struct RecurrentSpec {
  Cell cell = Cell::kRnn;
  std::int64_t steps = 0, batch = 0, input = 0, hidden = 0;
  int directions = 1;
  bool reverse = false;      // the first direction runs backwards (the second always does)
  bool batch_first = false;  // attribute layout = 1
  bool linear_before_reset = false;
  bool coupled = false;
  float clip = 0.0f;                      // infinity where there is none
  kernels::GateFunction functions[2][3];  // per direction, in ONNX's order f, g, h

  int gates() const { return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1; }
  std::int64_t gate_columns() const { return checked_multiply(gates(), hidden); }
  // Of them, those whose product with the state comes second: GRU's hidden gate.
  std::int64_t late_columns() const { return cell == Cell::kGru ? hidden : 0; }

  // Offsets in elements of X, of Y and of a state tensor.
  std::int64_t x_at(std::int64_t time, std::int64_t b) const {
    return (batch_first ? b * steps + time : time * batch + b) * input;
  }
  std::int64_t y_at(std::int64_t time, int direction, std::int64_t b) const {
    const std::int64_t row = batch_first ? (b * steps + time) * directions + direction
                                         : (time * directions + direction) * batch + b;
    return row * hidden;
  }
  std::int64_t state_at(int direction, std::int64_t b) const {
    return (batch_first ? b * directions + direction : direction * batch + b) * hidden;
  }
};

// The step that runs `spec` on the node's inputs, which are all float32 or all float64.
Step lower_recurrent(LowerContext& c, const RecurrentSpec& spec);

}  // namespace lanewise
