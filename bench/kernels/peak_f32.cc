// The limits themselves: multiply-adds on registers, and reads from the first-level cache.
#include "bench/kernels/work.h"
#include "engine/kernels/peak/peak.h"

namespace lanewise::bench {

std::vector<Work> bench_peak_f32(Isa isa) {
  constexpr std::int64_t kRounds = 1000, kCount = 4096;
  const kernels::PeakF32& kernel = kernels::peak_f32(isa);
  const auto x = floats(kCount), result = floats(1);
  return {{"fma", kernel.fma(kRounds), 0, [=] { kernel.fma(kRounds); }},
          {"read", 0, 4.0 * kCount, [=] { result->front() = kernel.read(x->data(), kCount); }}};
}

}  // namespace lanewise::bench
