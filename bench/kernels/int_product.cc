// 48 rows against each panel, 64 pairs deep; and nine taps of 256 depthwise channels.
#include "bench/kernels/work.h"
#include "engine/kernels/quant/quant.h"

namespace lanewise::bench {

std::vector<Work> bench_int_product(Isa isa) {
  constexpr std::int64_t kRows = 48, kPairs = 64, kTaps = 9, kChannels = 256;
  const kernels::IntProduct& kernel = kernels::int_product(isa);
  const auto a = numbers<std::int16_t>(kRows * kPairs * 2);
  std::vector<const std::int16_t*> rows;
  for (std::int64_t r = 0; r < kRows; ++r) rows.push_back(a->data() + r * kPairs * 2);
  std::vector<Work> works;
  for (const kernels::IntPanel& panel : kernel.panels) {
    const auto packed = numbers<std::int16_t>(kPairs * panel.columns * 2);
    const auto out = numbers<std::int32_t>(kRows * panel.columns);
    const auto run = [=, kept = a, tile = panel.tile] {
      tile({.rows = kRows,
            .taps = 1,
            .pairs = kPairs,
            .a = rows.data(),
            .packed = packed->data(),
            .out = out->data()});
    };
    works.push_back(
        {std::to_string(panel.columns) + " columns", 4.0 * kRows * kPairs * panel.columns, 0, run});
  }
  const auto w = numbers<std::int32_t>(kTaps * kChannels), out = numbers<std::int32_t>(kChannels);
  works.push_back({"depthwise", 2.0 * kTaps * kChannels, 0, [=, kept = a] {
                     kernel.depthwise(kChannels, kTaps, rows.data(), w->data(), out->data());
                   }});
  return works;
}

}  // namespace lanewise::bench
