// Tiles of group convolution under a 3 x 3 window.
#include "bench/kernels/work.h"
#include "engine/kernels/grouped/grouped.h"

namespace lanewise::bench {

std::vector<Work> bench_grouped_f32(Isa isa) {
  constexpr std::int64_t kTaps = 9, kRows = kernels::GroupedF32::kMaxRows;
  const kernels::GroupedF32& kernel = kernels::grouped_f32(isa);
  std::vector<Work> works;
  for (int s = 0; s < kernels::GroupedF32::kSizes && kernel.tiles[s][2] != nullptr; ++s) {
    const int group = 2 << s, lanes = kernel.lanes;
    const auto x = floats(kTaps * kRows * lanes), weights = floats(kTaps * group * lanes);
    const auto c = floats(kRows * lanes);
    std::vector<const float*> table;
    for (std::int64_t i = 0; i < kTaps * kRows; ++i) table.push_back(x->data() + i * lanes);
    const auto run = [=, kept = x, tile = kernel.tiles[s][2]] {
      kernels::GroupedTile t;
      t.rows = table.data();
      t.row_step = kRows;
      t.taps = kTaps;
      t.weights = weights->data();
      t.c = c->data();
      t.ldc = t.columns = lanes;
      tile(t);
    };
    works.push_back(
        {"groups of " + std::to_string(group), 2.0 * kTaps * kRows * group * lanes, 0, run});
  }
  return works;
}

}  // namespace lanewise::bench
