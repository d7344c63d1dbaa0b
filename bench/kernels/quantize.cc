// Rows of 4096 quantised numbers.
#include "bench/kernels/work.h"
#include "engine/kernels/quant/quant.h"

namespace lanewise::bench {

std::vector<Work> bench_quantize(Isa isa) {
  constexpr std::int64_t kCount = 4096;
  const kernels::QuantRows<std::uint8_t>& kernel = kernels::quantize(isa).u8;
  const auto x = floats(kCount), scale = floats(kCount);
  const auto a = numbers<std::uint8_t>(kCount), y = numbers<std::uint8_t>(kCount);
  const auto sums = numbers<std::int32_t>(kCount), zero = numbers<std::int32_t>(kCount);
  const kernels::QuantScale one = {scale->data(), zero->data(), false};
  constexpr kernels::QuantBinary kPair = {.a_scale = 0.5f, .b_scale = 0.25f};
  return {
      {"quantize", 0, 5.0 * kCount,
       [=] { kernel.quantize(kCount, x->data(), one, {0, 255}, y->data()); }},
      {"dequantize", 0, 5.0 * kCount,
       [=] { kernel.dequantize(kCount, a->data(), one, x->data()); }},
      {"requantize", 0, 9.0 * kCount,
       [=] { kernel.requantize(kCount, sums->data(), nullptr, scale->data(), 3, y->data()); }},
      {"add", 0, 3.0 * kCount, [=] { kernel.add(kCount, a->data(), a->data(), kPair, y->data()); }},
      {"multiply", 0, 3.0 * kCount,
       [=] { kernel.multiply(kCount, a->data(), a->data(), kPair, y->data()); }}};
}

}  // namespace lanewise::bench
