// A row of 4096 elements: masked, scaled and added, and turned in pairs.
#include "bench/kernels/work.h"
#include "engine/kernels/attention/attention.h"

namespace lanewise::bench {

std::vector<Work> bench_row_loops(Isa isa) {
  constexpr std::int64_t kCount = 4096, kHalf = kCount / 2;
  const kernels::RowLoops& kernel = kernels::row_loops(isa);
  const auto x = floats(kCount), y = floats(kCount), cosine = floats(kHalf), sine = floats(kHalf);
  const std::shared_ptr<bool[]> mask(new bool[kCount]());
  const auto turn = [=](auto run) {
    return [=] { run(x->data(), cosine->data(), sine->data(), y->data(), kHalf); };
  };
  return {{"hide", 0, 9.0 * kCount, [=] { kernel.hide(y->data(), mask.get(), kCount); }},
          {"add_scaled", 2.0 * kCount, 12.0 * kCount,
           [=] { kernel.add_scaled(x->data(), 1e-3f, y->data(), kCount); }},
          {"turn_halves", 3.0 * kCount, 12.0 * kCount, turn(kernel.turn_halves)},
          {"turn_neighbours", 3.0 * kCount, 12.0 * kCount, turn(kernel.turn_neighbours)}};
}

}  // namespace lanewise::bench
