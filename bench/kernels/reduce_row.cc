// Each reduction of 4096 adjacent elements.
#include "bench/kernels/work.h"
#include "engine/kernels/reduce/reduce.h"

namespace lanewise::bench {

std::vector<Work> bench_reduce_row(Isa isa) {
  constexpr std::int64_t kCount = 4096;
  const kernels::ReduceRow& kernel = kernels::reduce_row(isa);
  const auto x = floats(kCount);
  const auto result = numbers<double>(1);
  std::vector<Work> works;
  for (int r = 0; r < static_cast<int>(kernels::Reduction::kCount); ++r) {
    works.push_back({"reduction " + std::to_string(r), 0, 4.0 * kCount,
                     [=, run = kernel.run[r]] { result->front() = run(x->data(), kCount); }});
  }
  return works;
}

}  // namespace lanewise::bench
