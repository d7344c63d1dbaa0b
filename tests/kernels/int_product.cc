// Integer products, exact modulo 2^32 whatever the order.
#include "engine/kernels/quant/quant.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

// Differences of 8-bit numbers.
std::int16_t difference(Case& c) { return static_cast<std::int16_t>(c.pick(-255, 255)); }

void test_tile(Case& c, const kernels::IntProduct& kernel) {
  const kernels::IntPanel& panel = kernel.panels[c.pick(0, 2)];
  kernels::IntTile t;
  t.rows = c.pick(1, 26);
  t.taps = c.pick(1, 4);
  t.pairs = c.size(8, 3, 0);
  c.describe("%ld rows of %d columns, %ld taps of %ld pairs", static_cast<long>(t.rows),
             panel.columns, static_cast<long>(t.taps), static_cast<long>(t.pairs));
  const auto value = [&](std::int64_t) { return difference(c); };
  std::vector<const std::int16_t*> rows;
  for (std::int64_t i = 0; i < t.rows * t.taps; ++i)
    rows.push_back(c.filled<std::int16_t>(2 * t.pairs, value));
  t.a = rows.data();
  const std::int64_t columns = panel.columns;
  t.packed = c.filled<std::int16_t>(t.taps * t.pairs * columns * 2, value);
  t.out = c.room<std::int32_t>(t.rows * columns);
  panel.tile(t);
  for (std::int64_t at = 0; at < t.rows * columns; ++at) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < t.taps * t.pairs * 2; ++i) {
      const std::int64_t tap = i / (2 * t.pairs), depth = i % (2 * t.pairs);
      const std::int64_t w =
          t.packed[((tap * t.pairs + depth / 2) * columns + at % columns) * 2 + depth % 2];
      sum += rows[static_cast<std::size_t>(at / columns * t.taps + tap)][depth] * w;
    }
    c.expect(t.out[at], static_cast<double>(sum), 0.0, "sum", at);
  }
}

void test_depthwise(Case& c, const kernels::IntProduct& kernel) {
  const std::int64_t channels = kernels::kDepthwiseChannels * c.pick(1, 4), taps = c.pick(0, 9);
  c.describe("depthwise, %ld channels, %ld taps", static_cast<long>(channels),
             static_cast<long>(taps));
  std::vector<const std::int16_t*> rows;
  for (std::int64_t t = 0; t < taps; ++t) {
    rows.push_back(c.filled<std::int16_t>(channels, [&](std::int64_t) { return difference(c); }));
  }
  const auto* w = c.filled<std::int32_t>(channels * taps, [&](std::int64_t) {
    return static_cast<std::int32_t>(static_cast<std::uint16_t>(difference(c)));
  });
  auto* out = c.room<std::int32_t>(channels);
  kernel.depthwise(channels, taps, rows.data(), w, out);
  for (std::int64_t i = 0; i < channels; ++i) {
    std::int64_t sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) {
      sum += std::int64_t{rows[static_cast<std::size_t>(t)][i]} *
             static_cast<std::int16_t>(w[t * channels + i]);
    }
    c.expect(out[i], static_cast<double>(sum), 0.0, "sum", i);
  }
}

}  // namespace

void test_int_product(Case& c) {
  const kernels::IntProduct& kernel = kernels::int_product(c.isa());
  if (c.flip()) {
    test_tile(c, kernel);
  } else {
    test_depthwise(c, kernel);
  }
}

}  // namespace lanewise::testing
