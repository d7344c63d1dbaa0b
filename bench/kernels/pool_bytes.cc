// A row of 3 x 3 windows of stride 2 over 112 pixels of 64 channels.
#include "bench/kernels/work.h"
#include "engine/kernels/pool/pool.h"

namespace lanewise::bench {

std::vector<Work> bench_pool_bytes(Isa isa) {
  constexpr std::int64_t kWidth = 112, kChannels = 64, kSize = 3;
  const auto in = numbers<std::uint8_t>(kSize * kWidth * kChannels);
  const auto out = numbers<std::uint8_t>(kWidth / 2 * kChannels);
  const auto rows = numbers<std::int64_t>(kSize);
  for (std::int64_t i = 0; i < kSize; ++i) (*rows)[static_cast<std::size_t>(i)] = i;
  const auto run = [=, pool = kernels::pool_bytes(isa).max_u8] {
    kernels::PoolRow<std::uint8_t> r;
    r.in = in->data();
    r.rows = rows->data();
    r.row_count = r.kernel = kSize;
    r.width = kWidth;
    r.channels = kChannels;
    r.out = out->data();
    r.out_width = kWidth / 2;
    r.stride = 2;
    r.pad = 1;
    pool(r);
  };
  return {{"max", 0, static_cast<double>(in->size() + out->size()), run}};
}

}  // namespace lanewise::bench
