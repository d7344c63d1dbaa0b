// Scaled dot-product attention (Vaswani et al. 2017) over head-wise arrays of one float type:
// softmax(softcap(scale Q K^T) + mask) V, one block of rows at a time.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/dtype.h"
#include "engine/cpu/head_products.h"
#include "engine/kernels/eltwise/eltwise.h"
#include "engine/kernels/reduce/reduce.h"

namespace lanewise {

// What the optional output of scores shows.
enum class ScoreOutput : std::uint8_t { kNone, kProducts, kCapped, kMasked, kWeights };

struct AttentionProblem {
  HeadShapes shapes;
  double softcap = 0.0;  // 0: none
  // Query i stands at position p = offset + i. It sees the keys [p - left, p + right], or all on a
  // side whose bound is negative.
  std::int64_t left = -1, right = -1;
  std::int64_t offset = 0;
  bool has_lengths = false;    // of the keys of each batch; the queries are then the last ones,
  bool has_positions = false;  // or stand from these positions on
  enum class Mask : std::uint8_t { kNone, kBool, kAdd } mask = Mask::kNone;
  std::array<std::int64_t, 3> mask_strides = {};  // batch, query head, query; keys are adjacent
  std::int64_t mask_keys = 0;                     // keys past these are masked
  DType precision = DType::kUndefined;            // that the softmax rounds to, T if undefined
  ScoreOutput show = ScoreOutput::kNone;
  // A further score of each head joins the sum of its softmax and weighs nothing ("sink"; Xiao et
  // al. 2024): one that the arrays give, else zero.
  bool sinks = false;
};

template <class T>
struct AttentionArrays {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const void* mask = nullptr;               // of bool, or of T
  const std::int64_t* lengths = nullptr;    // one for each batch, in [0, keys]
  const std::int64_t* positions = nullptr;  // of the first query of each batch
  const T* sinks = nullptr;                 // one for each query head
  T* y = nullptr;
  T* shown = nullptr;  // dense [batches][q_heads][queries][keys]
};

// A row without a key to see, or whose scores are all minus infinity, gives zeros.
template <class T>
class Attention {
 public:
  Attention(const AttentionProblem& problem, Isa isa, int threads);

  std::int64_t scratch_elements() const;
  void run(const AttentionArrays<T>& arrays, T* scratch, int threads) const;

 private:
  struct Keys {
    std::int64_t begin = 0, end = 0;
  };
  Keys visible(const AttentionArrays<T>& arrays, std::int64_t batch, std::int64_t query) const;
  void run_rows(const AttentionArrays<T>& arrays, RowBlock block, const T* packed, T* s) const;
  void weights(const AttentionArrays<T>& arrays, std::int64_t batch, std::int64_t head,
               std::int64_t query, Keys keys, std::int64_t width, T* row) const;
  bool add_mask(const void* mask, std::int64_t at, Keys keys, T* row) const;
  void cap(T* row, std::int64_t n) const;

  AttentionProblem p_;
  HeadProducts<T> products_;
  std::int64_t block_rows_ = 1, ld_ = 0;
  int threads_ = 1;
  const kernels::Softmax* softmax_;
  const kernels::RowLoops* loops_;
  kernels::UnaryRun tanh_;
  kernels::BinaryRun add_, multiply_;
};

// Replaces n scores by their softmax, rounded on the way in and out to `precision` as Attention
// does. `softmax` is the float32 kernel.
template <class T>
void softmax_row(T* row, std::int64_t n, DType precision, const kernels::Softmax& softmax);

extern template class Attention<float>;
extern template class Attention<double>;
extern template void softmax_row(float*, std::int64_t, DType, const kernels::Softmax&);
extern template void softmax_row(double*, std::int64_t, DType, const kernels::Softmax&);

}  // namespace lanewise
