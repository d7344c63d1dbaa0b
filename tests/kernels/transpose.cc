// Transposes of every element size: the same bytes at the mirrored place, gaps left alone.
#include "engine/kernels/layout/layout.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

void test_transpose(Case& c) {
  const kernels::Transpose& kernel = kernels::transpose(c.isa());
  constexpr kernels::TransposeFn kernels::Transpose::* kFunctions[] = {
      &kernels::Transpose::b1, &kernels::Transpose::b2, &kernels::Transpose::b4,
      &kernels::Transpose::b8, &kernels::Transpose::b16};
  const std::int64_t which = c.pick(0, 4), bytes = std::int64_t{1} << which;
  const std::int64_t rows = c.size(16, 3, 0), columns = c.size(16, 3, 0);
  const std::int64_t in_ld = columns + c.pick(0, 3), out_ld = rows + c.pick(0, 3);
  c.describe("%ld x %ld of %ld bytes", static_cast<long>(rows), static_cast<long>(columns),
             static_cast<long>(bytes));
  const bool empty = rows * columns == 0;
  const std::int64_t in_size = empty ? 0 : (rows - 1) * in_ld + columns;
  const std::int64_t out_size = empty ? 0 : (columns - 1) * out_ld + rows;
  const auto* in = c.filled<std::uint8_t>(
      in_size * bytes, [&](std::int64_t) { return static_cast<std::uint8_t>(c.pick(0, 255)); });
  auto* out = c.room<std::uint8_t>(out_size * bytes);
  (kernel.*kFunctions[which])(in, in_ld, out, out_ld, rows, columns);
  for (std::int64_t at = 0; at < out_size; ++at) {
    const std::int64_t column = at / out_ld, row = at % out_ld;
    for (std::int64_t b = 0; b < bytes; ++b) {
      if (row >= rows) {
        c.expect_untouched(out[at * bytes + b], "a gap between rows", at);
      } else {
        c.expect(out[at * bytes + b], in[(row * in_ld + column) * bytes + b], 0.0, "byte", at);
      }
    }
  }
}

}  // namespace lanewise::testing
