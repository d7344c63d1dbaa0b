// The products of a recurrent layer's inputs with W for many steps at once, from bfloat16 parts
// (gemm_bf16x3.h). The products with the state, one step after the other, are recurrent.cc's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/cpu/gemm.h"
#include "engine/cpu/recurrent.h"

namespace lanewise {

class InputProjection {
 public:
  // Not active where parts are refused or W is no finite constant. The steps alone decide, so that
  // a sequence's bits do not depend on its batch.
  InputProjection(const LowerContext& c, const RecurrentSpec& spec);

  bool active() const { return weights_ != nullptr; }
  // Of one thread.
  std::size_t scratch_bytes() const;
  // sums[row] = bias + rows[row] W^T, in panels of columns for each thread; sums lie one after the
  // other. `scratch` has room for all threads.
  void run(int direction, const float* const* rows, std::int64_t count, const float* bias,
           float* sums, int threads, std::byte* scratch) const;

 private:
  GemmPlan gemm_;
  std::shared_ptr<const std::byte> weights_;  // of each direction, packed
};

}  // namespace lanewise
