// Depthwise convolution of bytes: sums are exact, and rounding has one right answer.
#include "tests/kernels/bytes.h"

namespace lanewise::testing {

void test_byte_depthwise(Case& c) {
  const kernels::ByteDepthwise& kernel = kernels::byte_depthwise(c.isa());
  const std::int64_t chunk = 4 * kernel.lanes;
  kernels::ByteDepthwiseRow r;
  r.channels = c.size(chunk, 2);
  const bool known = c.flip();
  r.kernel = known ? (c.flip() ? 3 : 5) : c.pick(1, 7);
  r.kernel_rows = known ? r.kernel : c.pick(1, 6);
  r.stride = c.pick(1, 3);
  r.dilation = known ? 1 : c.pick(1, 3);
  r.pad = c.pick(0, 4);
  r.out_width = c.pick(1, 11);
  r.width = c.pick(1, 20);
  r.flip = c.flip() ? 0x80 : 0;
  c.describe("%ld channels, kernel %ld x %ld, stride %ld, dilation %ld, pad %ld, width %ld to %ld",
             static_cast<long>(r.channels), static_cast<long>(r.kernel_rows),
             static_cast<long>(r.kernel), static_cast<long>(r.stride),
             static_cast<long>(r.dilation), static_cast<long>(r.pad), static_cast<long>(r.width),
             static_cast<long>(r.out_width));
  std::vector<const std::uint8_t*> rows;
  for (std::int64_t i = 0; i < r.kernel_rows; ++i) {
    rows.push_back(c.pick(0, 4) == 0 ? nullptr : random_bytes(c, r.width * r.channels));
  }
  r.rows = rows.data();
  r.nothing = random_bytes(c, r.channels);
  const std::int64_t chunks = (r.channels + chunk - 1) / chunk, groups = (r.kernel_rows + 3) / 4;
  // Weights of rows past the last are zeros: the kernel may read any activations there.
  r.weights = c.filled<std::int8_t>(chunks * groups * r.kernel * chunk * 4, [&](std::int64_t at) {
    const std::int64_t row = at / (r.kernel * chunk * 4) % groups * 4 + at % 4;
    return static_cast<std::int8_t>(row < r.kernel_rows ? c.pick(-128, 127) : 0);
  });
  r.starts = random_sums(c, chunks * chunk);
  if (c.flip()) r.factors = random_sums(c, chunks * chunk);
  r.output = random_output(c, chunks * chunk);
  Result result(c, r.output, r.out_width * r.channels);
  r.out = result.data();
  kernel.row(r);

  for (std::int64_t o = 0; o < r.out_width; ++o) {
    for (std::int64_t place = 0; place < chunks * chunk; ++place) {
      const std::int64_t within = place % chunk;
      const std::int64_t channel =
          place - within + kernels::byte_column(4, kernel.lanes, static_cast<int>(within));
      if (channel >= r.channels) continue;
      std::int64_t sum = r.starts[place], all = 0;
      for (std::int64_t i = 0; i < r.kernel_rows; ++i) {
        for (std::int64_t k = 0; k < r.kernel; ++k) {
          const std::int64_t column = o * r.stride - r.pad + k * r.dilation;
          const std::uint8_t* row = rows[static_cast<std::size_t>(i)];
          const bool inside = row != nullptr && column >= 0 && column < r.width;
          const std::int64_t x = (inside ? row + column * r.channels : r.nothing)[channel] ^ r.flip;
          const std::int64_t at =
              (((place / chunk * groups + i / 4) * r.kernel + k) * chunk + within) * 4 + i % 4;
          sum += x * r.weights[at];
          all += x;
        }
      }
      if (r.factors != nullptr) sum += all * r.factors[place];
      result.expect(o * r.channels + channel, sum, place);
    }
  }
}

}  // namespace lanewise::testing
