// The tallest tile of each width, over a sum that stays in the first-level cache.
#include "bench/kernels/work.h"
#include "engine/kernels/gemm/gemm.h"

namespace lanewise::bench {

std::vector<Work> bench_gemm_f32(Isa isa) {
  constexpr std::int64_t kDepth = 128;
  const kernels::GemmF32& kernel = kernels::gemm_f32(isa);
  std::vector<Work> works;
  for (int vectors = 1; vectors <= kernel.vectors; ++vectors) {
    const int rows = kernel.max_rows[vectors], width = vectors * kernel.lanes;
    const auto a = floats(rows * kDepth), panel = floats(kDepth * width), c = floats(rows * width);
    std::vector<const float*> table;
    for (int r = 0; r < rows; ++r) table.push_back(a->data() + r * kDepth);
    const auto run = [=, kept = a, tile = kernel.tiles[vectors][rows]] {
      kernels::GemmTile t;
      t.rows = table.data();
      t.k = kDepth;
      t.panel = panel->data();
      t.ahead = reinterpret_cast<const char*>(t.panel);  // an address that is there
      t.c = c->data();
      t.ldc = t.columns = width;
      tile(t);
    };
    works.push_back(
        {std::to_string(rows) + "x" + std::to_string(width), 2.0 * rows * width * kDepth, 0, run});
  }
  return works;
}

}  // namespace lanewise::bench
