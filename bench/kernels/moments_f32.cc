// Sums of squares along and across rows of 56 x 56 pixels.
#include "bench/kernels/work.h"
#include "engine/kernels/moments/moments.h"

namespace lanewise::bench {

std::vector<Work> bench_moments_f32(Isa isa) {
  constexpr std::int64_t kRows = 3136, kColumns = 64;
  const kernels::MomentsF32& kernel = kernels::moments_f32(isa);
  const auto x = floats(kRows * kColumns), mean = floats(kColumns);
  const auto result = numbers<double>(kColumns);
  return {{"rows", 0, 4.0 * kRows,
           [=] { result->front() = kernel.sum_squares(x->data(), kRows, 0.5f); }},
          {"columns", 0, 4.0 * kRows * kColumns, [=] {
             kernel.column_sum_squares(x->data(), kRows, kColumns, kColumns, mean->data(),
                                       result->data());
           }}};
}

}  // namespace lanewise::bench
