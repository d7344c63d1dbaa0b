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

}  // namespace lanewise::kernels
