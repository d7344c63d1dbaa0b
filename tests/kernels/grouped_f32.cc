// The tiles of group convolution, for every group size that fits a vector.
#include "engine/kernels/grouped/grouped.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {

void test_grouped_f32(Case& c) {
  const kernels::GroupedF32& kernel = kernels::grouped_f32(c.isa());
  constexpr std::int64_t kRows[] = {1, 4, kernels::GroupedF32::kMaxRows};
  int sizes = 0;
  while (sizes < kernels::GroupedF32::kSizes && kernel.tiles[sizes][0] != nullptr) ++sizes;
  const std::int64_t s = c.pick(0, sizes - 1), height = c.pick(0, 2);
  const std::int64_t group = std::int64_t{2} << s, rows = kRows[height], lanes = kernel.lanes;
  kernels::GroupedTile t;
  t.columns = static_cast<int>(c.flip() ? lanes : c.pick(1, lanes));
  t.taps = c.pick(1, 9);
  t.offset = c.pick(0, 3);
  t.row_step = rows + c.pick(0, 2);
  t.ldc = t.columns + c.pick(0, 5);
  c.describe("groups of %ld, %ld rows of %d, %ld taps", static_cast<long>(group),
             static_cast<long>(rows), t.columns, static_cast<long>(t.taps));
  std::vector<const float*> table(static_cast<std::size_t>(t.taps * t.row_step), nullptr);
  for (std::int64_t i = 0; i < t.taps * rows; ++i) {
    table[static_cast<std::size_t>(i / rows * t.row_step + i % rows)] =
        c.floats(t.offset + t.columns);
  }
  t.rows = table.data();
  t.weights = c.floats(t.taps * group * lanes);
  t.epilogue = draw_epilogue(c, rows, t.columns);
  t.c = c.room<float>((rows - 1) * t.ldc + t.columns);
  kernel.tiles[s][height](t);

  for (std::int64_t at = 0; at < (rows - 1) * t.ldc + t.columns; ++at) {
    const std::int64_t r = at / t.ldc, lane = at % t.ldc;
    if (lane >= t.columns) {
      c.expect_untouched(t.c[at], "a gap between rows", at);
      continue;
    }
    Sum sum;
    if (t.epilogue.bias != nullptr) sum.add(t.epilogue.bias[lane]);
    if (t.epilogue.residual != nullptr)
      sum.add(t.epilogue.residual[r * t.epilogue.residual_stride + lane]);
    for (std::int64_t tap = 0; tap < t.taps; ++tap) {
      for (std::int64_t i = 0; i < group; ++i) {
        const std::int64_t from = lane / group * group + i;
        if (from >= t.columns) continue;
        const float* row = t.rows[tap * t.row_step + r] + t.offset;
        sum.add(double{row[from]} * double{t.weights[(tap * group + i) * lanes + lane]});
      }
    }
    expect_activated(c, t.c[at], sum, static_cast<double>(t.taps * group + 3), t.epilogue, at,
                     c.exact());
  }
}

}  // namespace lanewise::testing
