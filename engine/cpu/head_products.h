// The two matrix products of attention, head by head: queries with keys, and weights with values.
// What happens to the scores between them is attention.h's and the operators' affair.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/cpu/gemm.h"
#include "engine/kernels/attention/attention.h"
#include "engine/kernels/eltwise/eltwise.h"

namespace lanewise {

// Strides in elements of an array of rows; the elements of a row are adjacent.
struct HeadRows {
  std::int64_t batch = 0, head = 0, row = 0;
};

// Each head of keys and values serves `group()` heads of queries: query head h reads h / group().
struct HeadShapes {
  std::int64_t batches = 0, q_heads = 0, kv_heads = 0;
  std::int64_t queries = 0, keys = 0;  // rows of a head
  std::int64_t head = 0, v_head = 0;   // elements of a row
  HeadRows q, k, v, y;
  double scale = 1.0;  // of the scores

  std::int64_t group() const { return q_heads / kv_heads; }
  std::int64_t pairs() const { return batches * kv_heads; }      // heads of keys
  std::int64_t group_rows() const { return group() * queries; }  // of a head of keys
  double flops() const {
    return 2.0 * static_cast<double>(batches * q_heads) * static_cast<double>(queries) *
           static_cast<double>(keys) * static_cast<double>(head + v_head);
  }
};

// Rows [first, first + count) of those that share a head of keys, in the order head, query; of
// their keys only the first `keys`.
struct RowBlock {
  std::int64_t pair = 0, first = 0, count = 0, keys = 0;
};

// T: float, through the register tiles of gemm.h or, for few rows, from the arrays as they lie; or
// double, through loops.
template <class T>
class HeadProducts {
 public:
  HeadProducts(const HeadShapes& shapes, Isa isa);

  const HeadShapes& shapes() const { return shapes_; }
  // Elements of scratch memory for the packed keys and values.
  std::int64_t packed_elements() const;
  void pack(const T* k, const T* v, T* packed, int threads) const;
  // Rows of a block whose scores stay in the second-level cache, fewer where threads would idle.
  std::int64_t block_rows(int threads) const;

  // s[r * ld + j] = scale * q[r] . k[j]; `packed` and the arrays are those given to pack().
  // Columns past block.keys, up to ld (at least shapes().keys), may be overwritten.
  void scores(const RowBlock& block, const T* q, const T* k, const T* packed, T* s,
              std::int64_t ld) const;
  // y[r] = sum of p[r * ld + j] * v[j]
  void weigh(const RowBlock& block, const T* p, std::int64_t ld, const T* v, const T* packed,
             T* y) const;

 private:
  // Packing costs about as much as the products of this many rows.
  static constexpr std::int64_t kFewRows = 8;
  bool few() const { return shapes_.group_rows() <= kFewRows; }

  HeadShapes shapes_;
  GemmPlan keys_, values_;  // unused by double
  const kernels::FewRows* few_rows_;
  kernels::BinaryRun multiply_;
  std::int64_t key_floats_ = 0, value_floats_ = 0;  // packed, of one head
};

extern template class HeadProducts<float>;
extern template class HeadProducts<double>;

}  // namespace lanewise
