// A row of 3 x 3 windows of stride 2 over 112 pixels of 64 channels.
#include "bench/kernels/work.h"
#include "engine/kernels/pool/pool.h"

namespace lanewise::bench {

std::vector<Work> bench_pool_f32(Isa isa) {
  constexpr std::int64_t kWidth = 112, kChannels = 64, kSize = 3;
  const kernels::PoolF32& kernel = kernels::pool_f32(isa);
  const auto in = floats(kSize * kWidth * kChannels), out = floats(kWidth / 2 * kChannels);
  const auto rows = numbers<std::int64_t>(kSize);
  for (std::int64_t i = 0; i < kSize; ++i) (*rows)[static_cast<std::size_t>(i)] = i;
  std::vector<Work> works;
  for (const auto& [name, function] : {std::pair{"max", kernel.max},
                                       {"mean", kernel.mean},
                                       {"l1", kernel.l1},
                                       {"l2", kernel.l2}}) {
    const auto run = [=, pool = function] {
      kernels::PoolRow<float> r;
      r.in = in->data();
      r.rows = rows->data();
      r.row_count = r.counted_rows = r.kernel = kSize;
      r.width = r.counted_end = kWidth;
      r.channels = kChannels;
      r.out = out->data();
      r.out_width = kWidth / 2;
      r.stride = 2;
      r.pad = 1;
      pool(r);
    };
    works.push_back({name, 0, 4.0 * static_cast<double>(in->size() + out->size()), run});
  }
  return works;
}

}  // namespace lanewise::bench
