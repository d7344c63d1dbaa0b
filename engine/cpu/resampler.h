// Separable interpolation of an array along several axes, in float or double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/cpu.h"
#include "engine/base/shape.h"
#include "engine/cpu/resample_axis.h"

namespace lanewise {

// W is float or double. Every dimension is at least one.
template <class W>
class Resampler {
 public:
  // `in` and the axes are in memory order; each axis is given once, with its taps.
  Resampler(const Shape& in, std::vector<std::pair<int, Taps>> axes, W extrapolation, int threads,
            Isa isa);

  // What run() needs besides its arrays.
  std::size_t scratch_bytes() const;
  void run(const W* in, W* out, std::byte* scratch, int threads) const;

 private:
  // An array seen as [outer, in, inner], resized to [outer, out, inner].
  struct Pass {
    std::int64_t outer = 1, in = 1, out = 1, inner = 1;
    std::int64_t taps = 1;
    std::vector<std::int64_t> offsets;  // in elements, of input index * inner
    std::vector<W> weights;
    std::vector<char> outside;
  };

  using RowsFn = void (*)(const W* const*, const W*, std::int64_t, W*, std::int64_t) noexcept;
  using PixelsFn = void (*)(const W*, const std::int64_t*, const W*, std::int64_t, std::int64_t,
                            std::int64_t, W*) noexcept;

  void blend_row(const Pass& pass, const W* in, std::int64_t y, W* out) const;
  void blend_pixels(const W* in, W* out) const;
  // Row y of `pass` goes to `row`, and from there, along the last axis, to the output.
  void run_rows(const Pass& pass, const W* in, W* out, int threads) const;
  void run_last(const W* in, W* out, W* rows, int threads) const;

  std::vector<Pass> leading_;  // whole passes through scratch memory
  Pass row_;                   // the last axis but one, joined with the last: a row stays in cache
  Pass last_;
  std::int64_t row_elements_ = 0;  // of row_'s output, for one index
  std::int64_t scratch_[2] = {0, 0};
  int threads_ = 1;
  W extrapolation_ = W{};
  RowsFn rows_ = nullptr;
  PixelsFn pixels_ = nullptr;
};

}  // namespace lanewise
