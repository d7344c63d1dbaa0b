// Two taps over a row of 4096 floats, and over 64 pixels of 64 channels.
#include "engine/kernels/resample/resample.h"

#include "bench/kernels/work.h"

namespace lanewise::bench {

std::vector<Work> bench_resample(Isa isa) {
  constexpr std::int64_t kPixels = 64, kChannels = 64, kTaps = 2, kAll = kPixels * kChannels;
  const kernels::Resample& kernel = kernels::resample(isa);
  const auto in = floats(kTaps * kAll), out = floats(kAll), weights = floats(kTaps * kPixels);
  const auto offsets = numbers<std::int64_t>(kTaps * kPixels);
  for (std::int64_t& offset : *offsets) offset *= kChannels;
  const std::vector<const float*> rows = {in->data(), in->data() + kAll};
  return {{"rows", 0, 4.0 * (kTaps + 1) * kAll,
           [=, kept = in] { kernel.rows(rows.data(), weights->data(), kTaps, out->data(), kAll); }},
          {"pixels", 0, 4.0 * (kTaps + 1) * kAll, [=] {
             kernel.pixels(in->data(), offsets->data(), weights->data(), kTaps, kPixels, kChannels,
                           out->data());
           }}};
}

}  // namespace lanewise::bench
