// The loops that limits are measured with count what they do.
#include "engine/kernels/peak/peak.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

void test_peak_f32(Case& c) {
  const kernels::PeakF32& kernel = kernels::peak_f32(c.isa());
  const std::int64_t n = c.size(16, 20, 0);
  c.describe("%ld floats", static_cast<long>(n));
  const float* x = c.floats(n);
  Sum sum;
  for (std::int64_t i = 0; i < n; ++i) sum.add(x[i]);
  c.expect(kernel.read(x, n), sum.value,
           c.exact() ? 0.0 : gamma(static_cast<double>(n) + 1) * sum.size, "sum");
  const double once = kernel.fma(1);
  if (!(once > 0)) c.expect(once, 1.0, 0.0, "operations of one round");
  c.expect(kernel.fma(n), static_cast<double>(n) * once, 0.0, "operations");
}

}  // namespace lanewise::testing
