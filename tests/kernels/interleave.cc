// Rows joined element by element: the same bytes at their places.
#include "engine/kernels/layout/layout.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

void test_interleave(Case& c) {
  const std::int64_t groups = c.pick(1, kernels::Interleave::kMostGroups);
  const std::int64_t count = c.size(16, 4, 0), rows = c.pick(0, 4);
  const std::int64_t in_step = count + c.pick(0, 3);
  c.describe("%ld rows of %ld elements of %ld groups", static_cast<long>(rows),
             static_cast<long>(count), static_cast<long>(groups));
  const std::int64_t size = rows == 0 ? 0 : (rows - 1) * in_step + count;
  const float* arrays[kernels::Interleave::kMostGroups];
  const void* in[kernels::Interleave::kMostGroups];
  for (std::int64_t g = 0; g < groups; ++g) in[g] = arrays[g] = c.floats(size);
  auto* out = c.room<float>(rows * count * groups);
  kernels::interleave(c.isa()).b4(in, in_step, groups, count, rows, out);
  for (std::int64_t at = 0; at < rows * count * groups; ++at) {
    const std::int64_t row = at / (count * groups), i = at / groups % count;
    c.expect(out[at], arrays[at % groups][row * in_step + i], 0.0, "element", at);
  }
}

}  // namespace lanewise::testing
