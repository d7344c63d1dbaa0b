// Inner loops of attention that are neither matrix tiles nor softmax, float32.
#pragma once

#include <cstdint>

namespace lanewise {
enum class Isa : unsigned char;
}

namespace lanewise::kernels {

// One token of linear attention on `columns` columns of a state S[keys][columns]:
//   S = decay S;  u = v, or beta (v - S^T k);  S += k u^T;  out[h] = scale S^T q[h]
struct LinearToken {
  float* state = nullptr;
  std::int64_t keys = 0, columns = 0, stride = 0;  // elements between rows of the state
  const float* decay = nullptr;                    // factor of each row, or null
  std::int64_t decay_step = 0;                     // 0: one for all rows
  const float* beta = nullptr;                     // one number, or null
  const float* k = nullptr;
  const float* v = nullptr;
  const float* q = nullptr;
  std::int64_t queries = 0, q_stride = 0;
  float scale = 1.0f;
  float* out = nullptr;
  std::int64_t out_stride = 0;
};

struct LinearAttention {
  void (*token)(const LinearToken& token) noexcept;
};

const LinearAttention& linear_attention(Isa isa);

// `count` rows of `depth` elements times a matrix B with rows `b_stride` apart.
struct FewRowsProduct {
  const float* const* rows = nullptr;
  std::int64_t count = 0, depth = 0, columns = 0;  // columns of the result
  const float* b = nullptr;
  std::int64_t b_stride = 0;
  float scale = 1.0f;
  float* y = nullptr;
  std::int64_t y_stride = 0;
};

struct FewRows {
  // y[r][j] = scale * sum of rows[r][i] B[j][i]
  void (*dots)(const FewRowsProduct& product) noexcept;
  // y[r][j] = scale * sum of rows[r][i] B[i][j]
  void (*sums)(const FewRowsProduct& product) noexcept;
};

const FewRows& few_rows(Isa isa);

struct RowLoops {
  // Minus infinity where the mask is false.
  void (*hide)(float* row, const bool* mask, std::int64_t n) noexcept;
  // y += factor x
  void (*add_scaled)(const float* x, float factor, float* y, std::int64_t n) noexcept;
  // Turns pairs (a, b) into (a cos - b sin, a sin + b cos): elements i and i + half, or 2 i and
  // 2 i + 1. y may be x.
  void (*turn_halves)(const float* x, const float* cosine, const float* sine, float* y,
                      std::int64_t half) noexcept;
  void (*turn_neighbours)(const float* x, const float* cosine, const float* sine, float* y,
                          std::int64_t half) noexcept;
};

const RowLoops& row_loops(Isa isa);

}  // namespace lanewise::kernels
