// A row of 56 pixels by 128 channels, by kernel and stride.
#include "bench/kernels/work.h"
#include "engine/kernels/depthwise/depthwise.h"

namespace lanewise::bench {

std::vector<Work> bench_depthwise_f32(Isa isa) {
  constexpr std::int64_t kWidth = 56, kChannels = 128;
  std::vector<Work> works;
  for (const auto& [size, stride] : {std::pair{3, 1}, {3, 2}, {5, 1}, {5, 2}, {7, 1}}) {
    const std::int64_t out_width = (kWidth - 1) / stride + 1;
    const auto in = floats(size * kWidth * kChannels), out = floats(out_width * kChannels);
    const auto weights = floats(size * size * kChannels);
    const auto rows = numbers<std::int64_t>(size);
    for (std::int64_t i = 0; i < size; ++i) (*rows)[static_cast<std::size_t>(i)] = i;
    const auto run = [=, k = size, s = stride, row = kernels::depthwise_f32(isa).row] {
      kernels::DepthwiseRow r;
      r.in = in->data();
      r.rows = r.filter_rows = rows->data();
      r.row_count = r.kernel = k;
      r.width = kWidth;
      r.channels = kChannels;
      r.weights = weights->data();
      r.out = out->data();
      r.out_width = out_width;
      r.stride = s;
      r.pad = k / 2;
      row(r);
    };
    works.push_back(
        {std::to_string(size) + "x" + std::to_string(size) + "/" + std::to_string(stride),
         2.0 * static_cast<double>(size * size * out_width * kChannels), 0, run});
  }
  return works;
}

}  // namespace lanewise::bench
