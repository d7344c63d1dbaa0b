// Each function over 4096 elements.
#include "bench/kernels/work.h"
#include "engine/kernels/eltwise/eltwise.h"

namespace lanewise::bench {

std::vector<Work> bench_eltwise_unary(Isa isa) {
  constexpr std::int64_t kCount = 4096;
  const kernels::EltwiseUnary& kernel = kernels::eltwise_unary(isa);
  const auto x = floats(kCount), y = floats(kCount);
  std::vector<Work> works;
  for (int f = 0; f < static_cast<int>(kernels::Unary::kCount); ++f) {
    works.push_back({"function " + std::to_string(f), 0, 8.0 * kCount,
                     [=, run = kernel.run[f]] { run(x->data(), y->data(), kCount, 0.75f, 1.5f); }});
  }
  return works;
}

}  // namespace lanewise::bench
