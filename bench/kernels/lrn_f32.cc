// A row of 56 pixels by 64 channels, five channels to a window, both layouts.
#include "bench/kernels/work.h"
#include "engine/kernels/lrn/lrn.h"

namespace lanewise::bench {

std::vector<Work> bench_lrn_f32(Isa isa) {
  constexpr std::int64_t kPixels = 56;
  constexpr kernels::Lrn kLrn = {.channels = 64, .before = 2, .after = 2, .scale = 2e-5f};
  const kernels::LrnF32& kernel = kernels::lrn_f32(isa);
  const auto x = floats(kPixels * kLrn.channels), y = floats(kPixels * kLrn.channels);
  const auto squares = std::make_shared<std::vector<float>>(kernels::lrn_scratch(kLrn), 0.0f);
  const double bytes = 8.0 * kPixels * kLrn.channels;
  return {{"pixels", 0, bytes,
           [=] { kernel.pixels(kLrn, x->data(), kPixels, squares->data(), y->data()); }},
          {"planes", 0, bytes,
           [=] { kernel.planes(kLrn, x->data(), kPixels, 0, kPixels, y->data()); }}};
}

}  // namespace lanewise::bench
