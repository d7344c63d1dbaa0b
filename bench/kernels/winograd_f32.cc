// Transforms of one tile of 64 channels.
#include "bench/kernels/work.h"
#include "engine/kernels/winograd/winograd.h"

namespace lanewise::bench {

std::vector<Work> bench_winograd_f32(Isa isa) {
  constexpr std::int64_t kChannels = 64;
  const kernels::WinogradF32& kernel = kernels::winograd_f32(isa);
  std::vector<Work> works;
  for (const int tile : {2, 4}) {
    const int size = tile + 2;
    const auto& transforms = tile == 2 ? kernel.tile2 : kernel.tile4;
    const auto pixels = floats(size * size * kChannels),
               frequencies = floats(size * size * kChannels);
    const auto input = [=, transform = transforms.input] {
      kernels::WinogradInput w;
      w.in = pixels->data();
      w.column_step = w.channels = w.frequency_step = kChannels;
      w.row_step = size * kChannels;
      w.row_end = w.column_end = size;
      w.out = frequencies->data();
      transform(w);
    };
    const auto output = [=, transform = transforms.output] {
      kernels::WinogradOutput w;
      w.in = frequencies->data();
      w.column_step = w.channels = w.frequency_step = kChannels;
      w.row_step = size * kChannels;
      w.rows = w.columns = tile;
      w.out = pixels->data();
      transform(w);
    };
    const double whole = 4.0 * size * size * kChannels, inner = 4.0 * tile * tile * kChannels;
    works.push_back({"input " + std::to_string(tile), 0, 2 * whole, input});
    works.push_back({"output " + std::to_string(tile), 0, whole + inner, output});
  }
  return works;
}

}  // namespace lanewise::bench
