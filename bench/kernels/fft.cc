// Passes of each radix over 4096 complex numbers, one transform and sixteen side by side.
#include "engine/kernels/fft/fft.h"

#include "bench/kernels/work.h"

namespace lanewise::bench {

std::vector<Work> bench_fft(Isa isa) {
  constexpr std::int64_t kCount = 4096;
  const kernels::Fft& kernel = kernels::fft(isa);
  const auto in = floats(2 * kCount), out = floats(2 * kCount), twiddles = floats(2 * kCount);
  const auto roots = floats(16);
  std::vector<Work> works;
  for (const std::int64_t radix : {2, 3, 4, 5, 7}) {
    for (const std::int64_t side : {1, 16}) {
      const std::int64_t m = kCount / (radix * side), used = radix * m * side;
      const auto run = [=] {
        kernel.pass32({.in_re = in->data(),
                       .in_im = in->data() + kCount,
                       .out_re = out->data(),
                       .out_im = out->data() + kCount,
                       .radix = radix,
                       .m = m,
                       .s = side,
                       .twiddles = twiddles->data(),
                       .roots = roots->data()});
      };
      works.push_back({"radix " + std::to_string(radix) + " by " + std::to_string(side), 0,
                       16.0 * static_cast<double>(used), run});
    }
  }
  return works;
}

}  // namespace lanewise::bench
