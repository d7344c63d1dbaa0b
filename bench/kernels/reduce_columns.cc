// Each reduction of 64 rows of 256 columns.
#include "bench/kernels/work.h"
#include "engine/kernels/reduce/reduce.h"

namespace lanewise::bench {

std::vector<Work> bench_reduce_columns(Isa isa) {
  constexpr std::int64_t kRows = 64, kColumns = 256;
  const kernels::ReduceColumns& kernel = kernels::reduce_columns(isa);
  const auto x = floats(kRows * kColumns);
  const auto total = numbers<double>(kColumns);
  std::vector<Work> works;
  for (int r = 0; r < static_cast<int>(kernels::Reduction::kCount); ++r) {
    works.push_back(
        {"reduction " + std::to_string(r), 0, 4.0 * kRows * kColumns,
         [=, run = kernel.run[r]] { run(x->data(), kRows, kColumns, total->data(), kColumns); }});
  }
  return works;
}

}  // namespace lanewise::bench
