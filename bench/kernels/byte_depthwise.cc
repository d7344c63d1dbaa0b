// A row of 56 pixels and 192 channels under windows of 3 x 3 and 5 x 5.
#include "bench/kernels/work.h"
#include "engine/kernels/bytes/bytes.h"

namespace lanewise::bench {

std::vector<Work> bench_byte_depthwise(Isa isa) {
  constexpr std::int64_t kWidth = 56, kChannels = 192, kMost = 5;
  const kernels::ByteDepthwise& kernel = kernels::byte_depthwise(isa);
  const auto image = numbers<std::uint8_t>(kMost * kWidth * kChannels);
  std::vector<const std::uint8_t*> rows;
  for (std::int64_t i = 0; i < kMost; ++i) rows.push_back(image->data() + i * kWidth * kChannels);
  const auto weights = numbers<std::int8_t>(2 * kMost * 4 * 256);
  const auto starts = numbers<std::int32_t>(256);
  const auto scales = numbers<float>(256);
  const auto out = numbers<std::uint8_t>(kWidth * kChannels);
  std::vector<Work> works;
  for (const std::int64_t size : {3, 5}) {
    const auto run = [=, kept = image, row = kernel.row] {
      kernels::ByteDepthwiseRow r;
      r.rows = rows.data();
      r.nothing = image->data();
      r.width = r.out_width = kWidth;
      r.channels = kChannels;
      r.kernel_rows = r.kernel = size;
      r.pad = size / 2;
      r.weights = weights->data();
      r.starts = starts->data();
      r.out = out->data();
      r.output = {kernels::ByteResult::kUnsigned, scales->data(), nullptr, 0, 0, 255};
      row(r);
    };
    works.push_back({std::to_string(size) + " x " + std::to_string(size),
                     2.0 * static_cast<double>(kWidth * kChannels * size * size), 0, run});
  }
  return works;
}

}  // namespace lanewise::bench
