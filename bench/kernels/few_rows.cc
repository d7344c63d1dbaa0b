// A step of decoding: four rows that share a head of 1024 keys and values of 128 elements.
#include "bench/kernels/work.h"
#include "engine/kernels/attention/attention.h"

namespace lanewise::bench {

std::vector<Work> bench_few_rows(Isa isa) {
  constexpr std::int64_t kRows = 4, kKeys = 1024, kSize = 128;
  const kernels::FewRows& kernel = kernels::few_rows(isa);
  const auto a = floats(kRows * kKeys), b = floats(kKeys * kSize), y = floats(kRows * kKeys);
  const auto rows = std::make_shared<std::vector<const float*>>();
  for (std::int64_t r = 0; r < kRows; ++r) rows->push_back(a->data() + r * kKeys);
  const double flops = 2.0 * kRows * kKeys * kSize, bytes = 4.0 * kKeys * kSize;
  const auto work = [=](auto run, std::int64_t depth, std::int64_t columns) {
    return [=, own = a] {  // the rows point into it
      run({rows->data(), kRows, depth, columns, b->data(), kSize, 1.0f, y->data(), columns});
    };
  };
  return {{"dots", flops, bytes, work(kernel.dots, kSize, kKeys)},
          {"sums", flops, bytes, work(kernel.sums, kKeys, kSize)}};
}

}  // namespace lanewise::bench
