// Packing W and running blocks of rows.
#include "engine/cpu/recurrent_projection.h"

#include <algorithm>
#include <string>

#include "engine/base/parallel.h"
#include "engine/cpu/gemm_bf16x3.h"

namespace lanewise {

InputProjection::InputProjection(const LowerContext& c, const RecurrentSpec& spec) {
  const Tensor* w = c.content(1);
  if (w == nullptr || c.dtype(0) != DType::kFloat32) return;
  gemm_ = plan_gemm(c.isa(), spec.gate_columns(), 1, spec.input);
  if (!refuse_bf16x3(gemm_, c, spec.steps).empty() || !finite_for_bf16x3(*w, c.isa())) return;
  use_bf16x3(gemm_, c.isa());
  const std::int64_t floats = checked_multiply(spec.directions, gemm_.packed_floats());
  weights_ =
      c.cache().get(*w, "recurrent W " + gemm_.key(),
                    static_cast<std::size_t>(checked_multiply(floats, 4)), [&](std::byte* to) {
                      for (int d = 0; d < spec.directions; ++d) {
                        const float* from = w->as<float>() + d * gemm_.n * gemm_.k;
                        pack_panels(gemm_, {from, 0, 1, gemm_.k}, 0, gemm_.panels(),
                                    reinterpret_cast<float*>(to) + d * gemm_.packed_floats());
                      }
                    });
}

std::size_t InputProjection::scratch_bytes() const {
  return active() ? bf16x3_scratch(gemm_, bf16x3_block_rows(gemm_)) : 0;
}

void InputProjection::run(int direction, const float* const* rows, std::int64_t count,
                          const float* bias, float* sums, int threads, std::byte* scratch) const {
  const auto* packed =
      reinterpret_cast<const float*>(weights_.get()) + direction * gemm_.packed_floats();
  const std::int64_t panels = gemm_.panels(), parts = std::min<std::int64_t>(threads, panels);
  parallel_tasks(threads, parts, [&](std::int64_t part, int thread) {
    std::byte* memory = scratch + scratch_bytes() * static_cast<std::size_t>(thread);
    for (std::int64_t first = 0; first < count; first += bf16x3_block_rows(gemm_)) {
      GemmRows block;
      block.table = rows + first;
      block.count = std::min(bf16x3_block_rows(gemm_), count - first);
      GemmOutput output;
      output.c = sums + first * gemm_.n;
      output.ldc = gemm_.n;
      output.epilogue.bias = bias;
      run_block(gemm_, block, packed, panels * part / parts, panels * (part + 1) / parts, output,
                memory);
    }
  });
}

}  // namespace lanewise
