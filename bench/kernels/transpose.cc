// 64 x 3136 elements of each size.
#include "bench/kernels/work.h"
#include "engine/kernels/layout/layout.h"

namespace lanewise::bench {

std::vector<Work> bench_transpose(Isa isa) {
  constexpr std::int64_t kRows = 64, kColumns = 3136;
  const kernels::Transpose& kernel = kernels::transpose(isa);
  std::vector<Work> works;
  std::int64_t bytes = 1;
  for (const kernels::TransposeFn function :
       {kernel.b1, kernel.b2, kernel.b4, kernel.b8, kernel.b16}) {
    const auto in = numbers<std::uint8_t>(kRows * kColumns * bytes);
    const auto out = numbers<std::uint8_t>(kRows * kColumns * bytes);
    works.push_back({std::to_string(bytes) + " bytes", 0,
                     2.0 * static_cast<double>(kRows * kColumns * bytes),
                     [=] { function(in->data(), kColumns, out->data(), kRows, kRows, kColumns); }});
    bytes *= 2;
  }
  return works;
}

}  // namespace lanewise::bench
