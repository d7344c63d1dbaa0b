// Recurrent cells: the product with the state and the gates of a unit in one kernel. A block makes
// 32 units of one sequence; the sums over the state are divided between its rows of threads.
#include "numbers.cuh"
#include "recurrent.cuh"

namespace lanewise::cuda {
namespace {

__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// An element of a state, or of peepholes; zeros where there are none.
template <class T>
__device__ float state(const void* h, long long i) {
  return h == nullptr ? 0.0f : widened(static_cast<const T*>(h)[i]);
}

// A bias of W or of R, or 0.
template <class T, int gates>
__device__ float bias_of(const RecurrentCall& p, bool of_state, int gate, unsigned unit) {
  if (p.bias == nullptr) return 0.0f;
  const unsigned at = ((of_state ? gates : 0) + gate) * p.hidden + unit;
  return widened(static_cast<const T*>(p.bias)[at]);
}

// The products of the gates [first, last) of `gates` with h, for the thread's unit; complete in
// threads of y = 0.
template <class T, int gates>
__device__ void products(const RecurrentCall& p, const void* h, int first, int last, float* sum) {
  __shared__ float parts[kSumParts][gates][kUnits];
  const unsigned unit = blockIdx.x * kUnits + threadIdx.x;
  for (int g = 0; g < gates; ++g) sum[g] = 0.0f;
  if (unit < p.hidden && h != nullptr) {
    const T* weights = static_cast<const T*>(p.weights) + unit;
    for (unsigned k = threadIdx.y; k < p.hidden; k += kSumParts) {
      const float x = state<T>(h, (long long)blockIdx.y * p.hidden + k);
      for (int g = first; g < last; ++g)
        sum[g] += x * widened(weights[((long long)k * gates + g) * p.hidden]);
    }
  }
  for (int g = 0; g < gates; ++g) parts[threadIdx.y][g][threadIdx.x] = sum[g];
  __syncthreads();
  for (int g = 0; g < gates; ++g) {
    sum[g] = 0.0f;
    for (int i = 0; i < kSumParts; ++i) sum[g] += parts[i][g][threadIdx.x];
  }
}

// The sum of a gate from the inputs, with its bias.
template <class T, int gates>
__device__ float input_sum(const RecurrentCall& p, int gate, unsigned unit) {
  const T* sums = static_cast<const T*>(p.sums);
  return widened(sums[((long long)blockIdx.y * gates + gate) * p.hidden + unit]) +
         bias_of<T, gates>(p, false, gate, unit);
}

template <class T>
__device__ void lstm(const RecurrentCall& p) {
  float sum[4];
  products<T, 4>(p, p.h, 0, 4, sum);
  const unsigned unit = blockIdx.x * kUnits + threadIdx.x;
  if (threadIdx.y != 0 || unit >= p.hidden) return;
  const long long at = (long long)blockIdx.y * p.hidden + unit;
  for (int g = 0; g < 4; ++g)
    sum[g] += input_sum<T, 4>(p, g, unit) + bias_of<T, 4>(p, true, g, unit);
  const float before = state<T>(p.c, at);
  const float input = sigmoid(sum[0] + state<T>(p.peepholes, unit) * before);
  const float forget = sigmoid(sum[2] + state<T>(p.peepholes, 2 * p.hidden + unit) * before);
  const float c = forget * before + input * tanhf(sum[3]);
  sum[1] += state<T>(p.peepholes, p.hidden + unit) * c;
  static_cast<T*>(p.c_out)[at] = narrowed<T>(c);
  static_cast<T*>(p.h_out)[at] = narrowed<T>(sigmoid(sum[1]) * tanhf(c));
}

// The reset gate scales the product with the state.
template <class T>
__device__ void gru_after(const RecurrentCall& p) {
  float sum[3];
  products<T, 3>(p, p.h, 0, 3, sum);
  const unsigned unit = blockIdx.x * kUnits + threadIdx.x;
  if (threadIdx.y != 0 || unit >= p.hidden) return;
  const long long at = (long long)blockIdx.y * p.hidden + unit;
  for (int g = 0; g < 3; ++g) sum[g] += bias_of<T, 3>(p, true, g, unit);
  const float z = sigmoid(sum[0] + input_sum<T, 3>(p, 0, unit));
  const float r = sigmoid(sum[1] + input_sum<T, 3>(p, 1, unit));
  const float n = tanhf(input_sum<T, 3>(p, 2, unit) + r * sum[2]);
  static_cast<T*>(p.h_out)[at] = narrowed<T>((1.0f - z) * n + z * state<T>(p.h, at));
}

// The reset gate scales the state before the product, which therefore waits for it.
template <class T>
__device__ void gru_before(const RecurrentCall& p) {
  float sum[3];
  if (p.pass == 0)
    products<T, 3>(p, p.h, 0, 2, sum);
  else
    products<T, 3>(p, p.h == nullptr ? nullptr : p.reset_h, 2, 3, sum);
  const unsigned unit = blockIdx.x * kUnits + threadIdx.x;
  if (threadIdx.y != 0 || unit >= p.hidden) return;
  const long long at = (long long)blockIdx.y * p.hidden + unit;
  for (int g = 0; g < 3; ++g)
    sum[g] += input_sum<T, 3>(p, g, unit) + bias_of<T, 3>(p, true, g, unit);
  const float h = state<T>(p.h, at);
  if (p.pass == 0) {
    static_cast<T*>(p.update)[at] = narrowed<T>(sigmoid(sum[0]));
    static_cast<T*>(p.reset_h)[at] = narrowed<T>(sigmoid(sum[1]) * h);
  } else {
    const float z = state<T>(p.update, at);
    static_cast<T*>(p.h_out)[at] = narrowed<T>((1.0f - z) * tanhf(sum[2]) + z * h);
  }
}

template <class T>
__device__ void rnn(const RecurrentCall& p) {
  float sum[1];
  products<T, 1>(p, p.h, 0, 1, sum);
  const unsigned unit = blockIdx.x * kUnits + threadIdx.x;
  if (threadIdx.y != 0 || unit >= p.hidden) return;
  const float total = sum[0] + input_sum<T, 1>(p, 0, unit) + bias_of<T, 1>(p, true, 0, unit);
  static_cast<T*>(p.h_out)[(long long)blockIdx.y * p.hidden + unit] = narrowed<T>(tanhf(total));
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void lstm_f32(RecurrentCall p) { lstm<float>(p); }
extern "C" __global__ void lstm_f16(RecurrentCall p) { lstm<Half>(p); }
extern "C" __global__ void lstm_bf16(RecurrentCall p) { lstm<BFloat>(p); }
extern "C" __global__ void gru_after_f32(RecurrentCall p) { gru_after<float>(p); }
extern "C" __global__ void gru_after_f16(RecurrentCall p) { gru_after<Half>(p); }
extern "C" __global__ void gru_after_bf16(RecurrentCall p) { gru_after<BFloat>(p); }
extern "C" __global__ void gru_before_f32(RecurrentCall p) { gru_before<float>(p); }
extern "C" __global__ void gru_before_f16(RecurrentCall p) { gru_before<Half>(p); }
extern "C" __global__ void gru_before_bf16(RecurrentCall p) { gru_before<BFloat>(p); }
extern "C" __global__ void rnn_f32(RecurrentCall p) { rnn<float>(p); }
extern "C" __global__ void rnn_f16(RecurrentCall p) { rnn<Half>(p); }
extern "C" __global__ void rnn_bf16(RecurrentCall p) { rnn<BFloat>(p); }
