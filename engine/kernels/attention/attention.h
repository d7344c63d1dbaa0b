// Inner loops of recurrent forms of attention, float32.
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

}  // namespace lanewise::kernels
