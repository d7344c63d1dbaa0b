// 16-bit floats of every kind and float32 next to every rounding boundary, to the last bit.
#include "engine/base/half.h"
#include "engine/kernels/convert/convert.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

void test_halves(Case& c) {
  const kernels::Halves& kernel = kernels::halves(c.isa());
  const std::int64_t n = c.size(16, 40);
  const bool bfloat = c.flip(), narrow = c.flip();
  c.describe("%ld elements, %s %s", static_cast<long>(n), narrow ? "to" : "from",
             bfloat ? "bfloat16" : "float16");
  if (!narrow) {
    const auto* x = c.filled<std::uint16_t>(
        n, [&](std::int64_t) { return static_cast<std::uint16_t>(c.pick(0, 0xffff)); });
    auto* y = c.room<std::uint32_t>(n);
    (bfloat ? kernel.bfloat_to_float : kernel.half_to_float)(x, y, n);
    for (std::int64_t i = 0; i < n; ++i) {
      const float want = bfloat ? bfloat_to_float(x[i]) : half_to_float(x[i]);
      c.expect(y[i], std::bit_cast<std::uint32_t>(want), 0.0, "bits", i);
    }
    return;
  }
  const auto* x = c.filled<std::uint32_t>(n, [&](std::int64_t) {
    const auto bits = static_cast<std::uint32_t>(c.pick(0, 0xffffffff));
    if (c.flip()) return bits;
    // The middle between two 16-bit floats, or one next to it.
    const float near = bfloat ? bfloat_to_float(static_cast<std::uint16_t>(bits))
                              : half_to_float(static_cast<std::uint16_t>(bits));
    const std::uint32_t half = bfloat ? 0x8000u : 0x1000u;
    return std::bit_cast<std::uint32_t>(near) + half + static_cast<std::uint32_t>(c.pick(-1, 1));
  });
  auto* y = c.room<std::uint16_t>(n);
  (bfloat ? kernel.float_to_bfloat : kernel.float_to_half)(x, y, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto value = std::bit_cast<float>(x[i]);
    c.expect(y[i], bfloat ? float_to_bfloat(value) : float_to_half(value), 0.0, "bits", i);
  }
}

}  // namespace lanewise::testing
