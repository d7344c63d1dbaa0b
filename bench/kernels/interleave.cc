// 784 rows of 2 x 58 and 3 x 80 elements, as channel shuffles have them.
#include "bench/kernels/work.h"
#include "engine/kernels/layout/layout.h"

namespace lanewise::bench {

std::vector<Work> bench_interleave(Isa isa) {
  constexpr std::int64_t kRows = 784;
  const kernels::Interleave& kernel = kernels::interleave(isa);
  std::vector<Work> works;
  for (const auto& [groups, count] : {std::pair<std::int64_t, std::int64_t>{2, 58}, {3, 80}}) {
    const std::int64_t step = groups * count;
    const auto in = floats(kRows * step), out = floats(kRows * step);
    works.push_back({std::to_string(groups) + " groups", 0, 8.0 * static_cast<double>(kRows * step),
                     [=, groups = groups, count = count] {
                       const void* parts[kernels::Interleave::kMostGroups];
                       for (std::int64_t g = 0; g < groups; ++g) parts[g] = in->data() + g * count;
                       kernel.b4(parts, step, groups, count, kRows, out->data());
                     }});
  }
  return works;
}

}  // namespace lanewise::bench
