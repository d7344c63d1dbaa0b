// Which taps of a window lie inside an image: for every kernel that walks windows.
#pragma once

#include <cstdint>

namespace lanewise::kernels {

// Taps k of a window that starts at `start` for which start + k * dilation is in [begin, end).
struct TapRange {
  std::int64_t first = 0, last = 0;
};
[[gnu::always_inline]] static inline TapRange tap_range(std::int64_t start, std::int64_t kernel,
                                                        std::int64_t dilation, std::int64_t begin,
                                                        std::int64_t end) {
  const std::int64_t below = begin - start, room = end - start;
  const std::int64_t first = below <= 0 ? 0 : (below + dilation - 1) / dilation;
  const std::int64_t past = room <= 0 ? 0 : (room + dilation - 1) / dilation;
  const std::int64_t last = past < kernel ? past : kernel;
  return {first, last < first ? first : last};
}

}  // namespace lanewise::kernels
