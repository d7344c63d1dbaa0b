// Products with packed weights against float64; expanded weights are exact.
#include "engine/kernels/nbits/nbits.h"

#include "tests/kernels/check.h"

namespace lanewise::testing {

void test_nbits(Case& c) {
  const kernels::Nbits& kernel = kernels::nbits(c.isa());
  const auto kind = static_cast<int>(c.pick(0, 2));
  const int bits = 2 << kind, parts = 8 / bits;
  kernels::NBitsProduct p;
  p.columns = c.pick(1, 9);
  p.rows = static_cast<int>(c.pick(1, kernels::NBitsProduct::kMostRows));
  p.w.blocks = c.pick(1, 4);
  p.w.block_bytes = 8 * c.pick(1, 6) * bits / 8;
  c.describe("%d bits, %d rows, %ld columns of %ld blocks of %ld bytes", bits, p.rows,
             static_cast<long>(p.columns), static_cast<long>(p.w.blocks),
             static_cast<long>(p.w.block_bytes));
  const std::int64_t bytes = p.w.blocks * p.w.block_bytes;
  p.w.data = c.filled<std::uint8_t>(
      p.columns * bytes, [&](std::int64_t) { return static_cast<std::uint8_t>(c.pick(0, 255)); });
  const std::int64_t parameters = p.columns * p.w.blocks;
  const auto scale = [&](std::int64_t) {
    return static_cast<float>(c.exact() ? 0.5 : c.uniform(0.1, 1.0));
  };
  p.w.scales = c.filled<float>(parameters, scale);
  p.w.zero = static_cast<float>(1 << (bits - 1));
  if (c.flip()) {
    p.w.zeros = c.filled<float>(
        parameters, [&](std::int64_t) { return static_cast<float>(c.pick(0, (1 << bits) - 1)); });
  }
  p.part_step = bytes + c.pick(0, 2);
  p.row_step = parts * p.part_step;
  p.x = c.floats((p.rows - 1) * p.row_step + (parts - 1) * p.part_step + bytes);
  p.ldc = p.columns + c.pick(0, 2);
  p.out = c.room<float>((p.rows - 1) * p.ldc + p.columns);
  kernel.product[kind](p);
  const std::int64_t depth = c.pick(1, bytes * parts);
  float* const expanded = c.room<float>(depth);
  kernel.expand[kind](p.w, depth, expanded);

  for (std::int64_t j = 0; j < p.columns; ++j) {
    std::vector<double> weights;
    for (std::int64_t k = 0; k < bytes * parts; ++k) {
      const int q = p.w.data[j * bytes + k / parts] >> (k % parts * bits) & ((1 << bits) - 1);
      const std::int64_t block = j * p.w.blocks + k / (p.w.block_bytes * parts);
      const float zero = p.w.zeros == nullptr ? p.w.zero : p.w.zeros[block];
      const float weight = (static_cast<float>(q) - zero) * p.w.scales[block];
      weights.push_back(static_cast<double>(weight));
      if (j == 0 && k < depth) c.expect(expanded[k], weights.back(), 0.0, "weight", k);
    }
    for (int r = 0; r < p.rows; ++r) {
      Sum sum;
      for (std::int64_t k = 0; k < bytes * parts; ++k) {
        const double x = p.x[r * p.row_step + k % parts * p.part_step + k / parts];
        sum.add(x * weights[static_cast<std::size_t>(k)]);
      }
      const double steps = static_cast<double>(bytes * parts) + 16.0;
      const double bound = c.exact() ? 0.0 : gamma(steps) * sum.size;
      c.expect(p.out[r * p.ldc + j], sum.value, bound, "sum", r * p.columns + j);
    }
  }
}

}  // namespace lanewise::testing
