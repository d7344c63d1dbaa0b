// The register tiles of matrix products: every height and width, taps, split sums and epilogues.
#include "engine/kernels/gemm/gemm.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {
namespace {

struct Rows {
  std::vector<const float*> table;  // [taps][step]
  std::int64_t step = 0;
};

// Each row is an array of its own, which ends or begins at a guard page.
Rows draw_rows(Case& c, std::int64_t rows, std::int64_t taps, std::int64_t length) {
  Rows drawn;
  drawn.step = rows + c.pick(0, 2);
  drawn.table.resize(static_cast<std::size_t>(taps * drawn.step), nullptr);
  for (std::int64_t t = 0; t < taps; ++t) {
    for (std::int64_t r = 0; r < rows; ++r) {
      drawn.table[static_cast<std::size_t>(t * drawn.step + r)] = c.floats(length);
    }
  }
  return drawn;
}

}  // namespace

void test_gemm_f32(Case& c) {
  const kernels::GemmF32& kernel = kernels::gemm_f32(c.isa());
  const auto vectors = static_cast<int>(c.pick(1, kernel.vectors));
  const std::int64_t rows = c.pick(1, kernel.max_rows[vectors]);
  const std::int64_t width = std::int64_t{vectors} * kernel.lanes;
  kernels::GemmTile t;
  t.columns = static_cast<int>(c.flip() ? width : c.pick(width - kernel.lanes + 1, width));
  t.taps = c.pick(1, 3);
  t.k = c.size(8, 4, 0);
  t.offset = c.pick(0, 3);
  t.first = c.flip();
  t.last = c.flip();
  t.ldc = t.columns + c.pick(0, 5);
  c.describe("%ld rows of %d, %ld taps of %ld, first %d, last %d", static_cast<long>(rows),
             t.columns, static_cast<long>(t.taps), static_cast<long>(t.k), t.first, t.last);
  const Rows drawn = draw_rows(c, rows, t.taps, t.offset + t.k);
  t.rows = drawn.table.data();
  t.row_step = drawn.step;
  t.panel = c.floats(t.taps * t.k * width);
  t.epilogue = draw_epilogue(c, rows, t.columns);
  const std::int64_t room = (rows - 1) * t.ldc + t.columns;
  t.c = c.room<float>(room);
  // The start: of earlier calls, or a residual that lies where the result goes.
  const bool own_residual = t.first && t.epilogue.residual != nullptr && c.flip();
  const bool filled = !t.first || own_residual;
  std::vector<float> before(static_cast<std::size_t>(room), 0.0f);
  for (std::int64_t r = 0; filled && r < rows; ++r) {
    for (std::int64_t j = 0; j < t.columns; ++j) {
      before[static_cast<std::size_t>(r * t.ldc + j)] = t.c[r * t.ldc + j] = c.number();
    }
  }
  if (own_residual) {
    t.epilogue.residual = t.c;
    t.epilogue.residual_stride = t.ldc;
  }
  kernel.tiles[vectors][rows](t);

  kernels::Epilogue e = t.epilogue;
  if (!t.last) e.activation = kernels::Activation::kNone;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t j = 0; j < (r + 1 < rows ? t.ldc : t.columns); ++j) {
      if (j >= t.columns) {
        c.expect_untouched(t.c[r * t.ldc + j], "a gap between rows", j);
        continue;
      }
      Sum sum;
      if (filled) sum.add(before[static_cast<std::size_t>(r * t.ldc + j)]);
      if (t.first && e.bias != nullptr) sum.add(e.bias[j]);
      if (t.first && e.residual != nullptr && !own_residual)
        sum.add(e.residual[r * e.residual_stride + j]);
      for (std::int64_t i = 0; i < t.taps * t.k; ++i) {
        const float* row = t.rows[i / t.k * t.row_step + r] + t.offset;
        sum.add(double{row[i % t.k]} * double{t.panel[i * width + j]});
      }
      expect_activated(c, t.c[r * t.ldc + j], sum, static_cast<double>(t.taps * t.k + 3), e,
                       r * t.ldc + j, c.exact());
    }
  }
}

}  // namespace lanewise::testing
