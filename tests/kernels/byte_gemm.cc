// Products of bytes: sums are exact modulo 2^32, and rounding has one right answer.
#include "tests/kernels/bytes.h"

namespace lanewise::testing {

void test_byte_gemm(Case& c) {
  const kernels::ByteGemm& kernel = kernels::byte_gemm(c.isa());
  const bool is_signed = c.flip();
  const int vectors = static_cast<int>(c.pick(1, kernels::ByteGemm::kMaxVectors));
  const int panel = vectors * kernel.lanes;
  kernels::ByteTile t;
  t.count = c.pick(1, 26);
  t.taps = c.pick(0, 3);
  t.depth = c.size(8, 3, 0);
  t.offset = c.pick(0, 3);
  t.row_step = t.count + c.pick(0, 2);
  t.columns = static_cast<int>(c.pick((vectors - 1) * kernel.lanes + 1, panel));
  t.ldc = t.columns + c.pick(0, 3);
  c.describe("%s activations, %ld rows of %d columns in %d vectors, %ld taps of %ld",
             is_signed ? "signed" : "unsigned", static_cast<long>(t.count), t.columns, vectors,
             static_cast<long>(t.taps), static_cast<long>(t.depth));
  std::vector<const std::uint8_t*> rows;
  for (std::int64_t i = 0; i < t.taps * t.row_step; ++i)
    rows.push_back(random_bytes(c, t.offset + t.depth));
  t.rows = rows.data();
  const std::int64_t words = (t.depth + 3) / 4;
  t.panel = random_bytes(c, t.taps * words * panel * 4);
  t.starts = random_sums(c, panel);
  const bool adds = c.flip(), factors = c.flip();
  if (adds) t.row_adds = random_sums(c, t.count);
  if (adds && factors) t.factors = random_sums(c, panel);
  t.output = random_output(c, panel);
  const std::int64_t elements = (t.count - 1) * t.ldc + t.columns;
  Result result(c, t.output, elements);
  t.out = result.data();
  kernel.tiles[is_signed][vectors](t);

  const auto value = [](std::uint8_t x, bool as_signed) {
    return as_signed ? std::int64_t{static_cast<std::int8_t>(x)} : std::int64_t{x};
  };
  std::vector<std::int32_t> row_sums(static_cast<std::size_t>(t.count));
  kernel.row_sums[is_signed](t, row_sums.data());
  for (std::int64_t r = 0; r < t.count; ++r) {
    std::int64_t all = 0;
    for (int place = 0; place < panel; ++place) {
      const int column = kernels::byte_column(vectors, kernel.lanes, place);
      std::int64_t sum = t.starts[place];
      all = 0;
      if (adds) sum += std::int64_t{t.row_adds[r]} * (factors ? t.factors[place] : 1);
      for (std::int64_t tap = 0; tap < t.taps; ++tap) {
        const std::uint8_t* row = rows[static_cast<std::size_t>(tap * t.row_step + r)] + t.offset;
        const std::uint8_t* w = t.panel + tap * words * panel * 4;
        for (std::int64_t i = 0; i < t.depth; ++i) {
          const std::int64_t x = value(row[i], is_signed);
          sum += x * value(w[(i / 4 * panel + place) * 4 + i % 4], !is_signed);
          all += x;
        }
      }
      if (column < t.columns) result.expect(r * t.ldc + column, sum, place);
    }
    c.expect(row_sums[static_cast<std::size_t>(r)], static_cast<double>(all), 0.0, "row sum", r);
  }
  for (std::int64_t r = 0; r + 1 < t.count; ++r) {
    for (std::int64_t j = t.columns; j < t.ldc; ++j) result.expect_untouched(r * t.ldc + j);
  }
}

}  // namespace lanewise::testing
