// Softmax of 16 groups of 1000, and of 1000 groups side by side.
#include "bench/kernels/work.h"
#include "engine/kernels/reduce/reduce.h"

namespace lanewise::bench {

std::vector<Work> bench_softmax(Isa isa) {
  constexpr std::int64_t kGroups = 16, kSize = 1000;
  const kernels::Softmax& kernel = kernels::softmax(isa);
  const auto x = floats(kGroups * kSize), y = floats(kGroups * kSize);
  const double bytes = 8.0 * kGroups * kSize;
  return {
      {"softmax", 0, bytes, [=] { kernel.softmax(x->data(), y->data(), kGroups, kSize, 1); }},
      {"log_softmax", 0, bytes,
       [=] { kernel.log_softmax(x->data(), y->data(), kGroups, kSize, 1); }},
      {"side by side", 0, bytes, [=] { kernel.softmax(x->data(), y->data(), 1, kGroups, kSize); }}};
}

}  // namespace lanewise::bench
