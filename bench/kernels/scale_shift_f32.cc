// The scaling of normalisation over 64 rows of 256 columns.
#include "bench/kernels/work.h"
#include "engine/kernels/moments/moments.h"

namespace lanewise::bench {

std::vector<Work> bench_scale_shift_f32(Isa isa) {
  constexpr std::int64_t kRows = 64, kColumns = 256, kAll = kRows * kColumns;
  const kernels::ScaleShiftF32& kernel = kernels::scale_shift_f32(isa);
  const auto x = floats(kAll), y = floats(kAll), mean = floats(kColumns);
  const auto scale = floats(kAll), shift = floats(kAll);
  return {{"uniform", 0, 8.0 * kAll,
           [=] { kernel.uniform(x->data(), kAll, 0.5f, 2.0f, 1.0f, {}, y->data()); }},
          {"vectors", 0, 16.0 * kAll,
           [=] {
             kernel.vectors(x->data(), kAll, 0.5f, 2.0f, scale->data(), shift->data(), y->data());
           }},
          {"columns", 0, 8.0 * kAll, [=] {
             kernel.columns(x->data(), kRows, kColumns, kColumns, mean->data(), scale->data(),
                            shift->data(), {}, y->data());
           }}};
}

}  // namespace lanewise::bench
