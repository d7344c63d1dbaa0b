// Products of bfloat16 parts: exact integers, sums within float32's own bound, every height and
// width, split sums and epilogues.
#include <algorithm>
#include <limits>

#include "engine/kernels/gemm/bf16x3.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {

void test_gemm_bf16x3(Case& c) {
  using kernels::GemmBf16x3;
  const GemmBf16x3& kernel = kernels::gemm_bf16x3(c.isa());
  if (c.isa() != Isa::kAmx) {
    c.expect(kernel.multiply == nullptr, 1.0, 0.0, "no such unit");
    return;
  }
  constexpr std::int64_t kTerms = GemmBf16x3::kTerms;
  constexpr std::int64_t kRowStep = GemmBf16x3::kParts * GemmBf16x3::kLineBytes;
  kernels::Bf16x3Product t;
  t.rows = c.pick(1, 3 * GemmBf16x3::kMostRows);
  t.groups = (t.rows + GemmBf16x3::kMostRows - 1) / GemmBf16x3::kMostRows;
  t.vectors = static_cast<int>(c.pick(1, GemmBf16x3::kMostVectors));
  const int width = t.vectors * 16;
  t.columns = static_cast<int>(c.flip() ? width : c.pick(width - 15, width));
  const std::int64_t taps = c.pick(1, 3), begin = c.pick(0, 1) * kTerms;
  const std::int64_t k = taps > 1 ? kTerms * c.pick(1, 2) : c.size(kTerms, 3);
  const std::int64_t all = taps * k, first_term = std::min(begin, (all - 1) / kTerms * kTerms);
  const std::int64_t terms = all - first_term, offset = c.pick(0, 3);
  t.steps = (terms + kTerms - 1) / kTerms;
  t.first = c.flip();
  t.last = c.flip();
  t.ldc = t.columns + c.pick(0, 5);
  c.describe("%ld rows of %d, %ld taps of %ld from term %ld, first %d, last %d",
             static_cast<long>(t.rows), t.columns, static_cast<long>(taps), static_cast<long>(k),
             static_cast<long>(first_term), t.first, t.last);

  kernels::Bf16x3Rows rows;
  rows.table_step = t.rows + c.pick(0, 2);
  rows.offset = offset;
  rows.k = k;
  rows.begin = first_term;
  rows.end = all;
  std::vector<const float*> table(static_cast<std::size_t>(taps * rows.table_step), nullptr);
  const std::int64_t odd_row = c.pick(0, 4 * t.rows);  // often none
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t r = 0; r < t.rows; ++r) {
      const std::int64_t spoiled = r == odd_row && tap == taps - 1 ? offset + k - 1 : -1;
      table[static_cast<std::size_t>(tap * rows.table_step + r)] =
          c.filled<float>(offset + k, [&](std::int64_t i) {
            return i == spoiled ? -std::numeric_limits<float>::infinity() : c.number();
          });
    }
  }
  rows.table = table.data();
  rows.odd = c.room<std::uint8_t>(t.rows);
  std::fill_n(rows.odd, t.rows, std::uint8_t{0});
  rows.first = 0;
  rows.last = t.rows / t.groups;
  t.a = c.room<std::byte>(t.rows * t.steps * kRowStep);
  rows.to = t.a;
  kernel.cut_rows(rows);
  t.odd = rows.odd;
  t.rest = &rows;
  const std::int64_t line = t.steps * kRowStep * 16;
  const auto panel_of = [&](const float* from) {
    return kernels::Bf16x3Panel{from, terms, t.vectors, c.room<std::byte>(t.vectors * line)};
  };
  const float* panel = c.floats(terms * width);
  const kernels::Bf16x3Panel now = panel_of(panel), again = panel_of(panel);
  kernel.cut_panel(now);
  t.b = now.to;
  t.next_panel = again;
  t.epilogue = draw_epilogue(c, t.rows, t.columns);
  t.c = c.room<float>((t.rows - 1) * t.ldc + t.columns);
  std::vector<float> before;
  for (std::int64_t i = 0; i < t.rows * t.ldc; ++i) before.push_back(c.number());
  for (std::int64_t r = 0; !t.first && r < t.rows; ++r) {
    for (int j = 0; j < t.columns; ++j)
      t.c[r * t.ldc + j] = before[static_cast<std::size_t>(r * t.ldc + j)];
  }
  kernel.multiply(t);
  c.expect(std::memcmp(now.to, again.to, static_cast<std::size_t>(t.vectors * line)), 0.0, 0.0,
           "the panel cut meanwhile");

  kernels::Epilogue e = t.epilogue;
  if (!t.last) e.activation = kernels::Activation::kNone;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    for (std::int64_t j = 0; j < (r + 1 < t.rows ? t.ldc : t.columns); ++j) {
      c.expect(rows.odd[r], r == odd_row ? 1.0 : 0.0, 0.0, "mark of a row that is not finite", r);
      if (r == odd_row && t.first) {
        if (j < t.columns) c.expect_untouched(t.c[r * t.ldc + j], "an odd row", j);
        continue;
      }
      if (r == odd_row) continue;
      if (j >= t.columns) {
        c.expect_untouched(t.c[r * t.ldc + j], "a gap between rows", j);
        continue;
      }
      Sum sum;
      if (!t.first) sum.add(before[static_cast<std::size_t>(r * t.ldc + j)]);
      if (t.first && e.bias != nullptr) sum.add(e.bias[j]);
      if (t.first && e.residual != nullptr) sum.add(e.residual[r * e.residual_stride + j]);
      for (std::int64_t i = 0; i < terms; ++i) {
        const std::int64_t term = first_term + i;
        const float* row = table[static_cast<std::size_t>(term / k * rows.table_step + r)];
        sum.add(double{row[offset + term % k]} * double{panel[i * width + j]});
      }
      // What the parts leave out is below 2^-21, eight units, of each product.
      expect_activated(c, t.c[r * t.ldc + j], sum, static_cast<double>(terms + 3 + 8), e,
                       r * t.ldc + j, c.exact());
    }
  }
}

}  // namespace lanewise::testing
