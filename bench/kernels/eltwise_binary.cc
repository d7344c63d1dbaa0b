// Each function over 4096 elements, and with one operand repeated.
#include "bench/kernels/work.h"
#include "engine/kernels/eltwise/eltwise.h"

namespace lanewise::bench {

std::vector<Work> bench_eltwise_binary(Isa isa) {
  constexpr std::int64_t kRows = 16, kColumns = 256;
  const kernels::EltwiseBinary& kernel = kernels::eltwise_binary(isa);
  const auto a = floats(kRows * kColumns), b = floats(kRows * kColumns),
             y = floats(kRows * kColumns);
  std::vector<Work> works;
  for (int f = 0; f < static_cast<int>(kernels::Binary::kCount); ++f) {
    for (const int step : {1, 0}) {
      const auto run = [=, function = kernel.run[f]] {
        function({.a = a->data(),
                  .b = b->data(),
                  .y = y->data(),
                  .rows = kRows,
                  .cols = kColumns,
                  .a_row = kColumns,
                  .b_row = step * kColumns,
                  .b_col = step});
      };
      works.push_back({"function " + std::to_string(f) + (step == 1 ? "" : ", repeated"), 0,
                       (8.0 + 4.0 * step) * kRows * kColumns, run});
    }
  }
  return works;
}

}  // namespace lanewise::bench
