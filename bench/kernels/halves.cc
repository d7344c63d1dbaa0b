// 16384 elements between float32 and the 16-bit floats.
#include "bench/kernels/work.h"
#include "engine/kernels/convert/convert.h"

namespace lanewise::bench {

std::vector<Work> bench_halves(Isa isa) {
  constexpr std::int64_t kCount = 16384;
  const kernels::Halves& kernel = kernels::halves(isa);
  const auto wide = floats(kCount);
  const auto narrow = numbers<std::uint16_t>(kCount);
  const double bytes = 6.0 * kCount;
  const auto widen = [=](kernels::HalvesRun run) {
    return [=] { run(narrow->data(), wide->data(), kCount); };
  };
  const auto round = [=](kernels::HalvesRun run) {
    return [=] { run(wide->data(), narrow->data(), kCount); };
  };
  return {{"half_to_float", 0, bytes, widen(kernel.half_to_float)},
          {"float_to_half", 0, bytes, round(kernel.float_to_half)},
          {"bfloat_to_float", 0, bytes, widen(kernel.bfloat_to_float)},
          {"float_to_bfloat", 0, bytes, round(kernel.float_to_bfloat)}};
}

}  // namespace lanewise::bench
