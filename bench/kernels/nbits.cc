// One row and four, times 64 columns of 4096 weights in blocks of 32.
#include "engine/kernels/nbits/nbits.h"

#include "bench/kernels/work.h"

namespace lanewise::bench {

std::vector<Work> bench_nbits(Isa isa) {
  constexpr std::int64_t kDepth = 4096, kColumns = 64, kBlock = 32;
  const kernels::Nbits& kernel = kernels::nbits(isa);
  const auto x = floats(4 * kDepth);
  const auto scales = floats(kColumns * kDepth / kBlock);
  const auto out = floats(4 * kColumns);
  std::vector<Work> works;
  for (int kind = 0; kind < 3; ++kind) {
    const std::int64_t bits = 2 << kind;
    const auto data = numbers<std::uint8_t>(kColumns * kDepth * bits / 8);
    for (const int rows : {1, 4}) {
      const auto run = [=, product = kernel.product[kind]] {
        kernels::NBitsProduct p;
        p.w = {data->data(), kDepth / kBlock, kBlock * bits / 8, scales->data(), nullptr, 1.0f};
        p.x = x->data();
        p.row_step = kDepth;
        p.part_step = kDepth * bits / 8;
        p.rows = rows;
        p.columns = kColumns;
        p.out = out->data();
        p.ldc = kColumns;
        product(p);
      };
      works.push_back({std::to_string(bits) + " bits, " + std::to_string(rows) + " rows",
                       2.0 * static_cast<double>(rows * kDepth * kColumns),
                       static_cast<double>(kColumns * (kDepth * bits / 8 + kDepth / kBlock * 4)),
                       run});
    }
  }
  return works;
}

}  // namespace lanewise::bench
