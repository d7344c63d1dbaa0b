// The columns of a product of bytes in the order in which kernels take them, and numbers that
// belong to them. Places past the last column are padding.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/rounding.h"
#include "engine/kernels/bytes/bytes.h"

namespace lanewise {

// Columns stand in panels of four vectors; the last one is as narrow as it may be, unless `whole`.
struct ByteColumns {
  static constexpr std::int64_t kVectors = kernels::ByteGemm::kMaxVectors;

  std::int64_t lanes = 1, columns = 0;
  bool whole = false;

  std::int64_t width() const { return kVectors * lanes; }
  std::int64_t panels() const { return divide_up(columns, width()); }
  std::int64_t places() const { return round_up(columns, whole ? width() : lanes); }
  int vectors_of(std::int64_t panel) const {
    return static_cast<int>(std::min(width(), places() - panel * width()) / lanes);
  }
  std::int64_t column_at(std::int64_t place) const {
    const std::int64_t panel = place / width();
    return panel * width() + kernels::byte_column(vectors_of(panel), static_cast<int>(lanes),
                                                  static_cast<int>(place % width()));
  }

  // What sums begin with: the bias, or null for zeros, less the activations' zero point times the
  // `sums` of each place's weights; modulo 2^32.
  void fill_starts(const std::int32_t* sums, std::int32_t zero, const std::int32_t* bias,
                   std::int32_t* starts) const {
    for (std::int64_t place = 0; place < places(); ++place) {
      const std::int64_t column = column_at(place);
      const auto first = static_cast<std::uint32_t>(
          bias != nullptr && column < columns ? bias[column] : std::int32_t{0});
      const auto product =
          static_cast<std::uint32_t>(zero) * static_cast<std::uint32_t>(sums[place]);
      starts[place] = static_cast<std::int32_t>(first - product);
    }
  }

  // A number for each column, or one for all, times `factor` and over `divisor`.
  void spread(const float* values, bool each, float factor, float divisor, float* to) const {
    for (std::int64_t place = 0; place < places(); ++place) {
      const std::int64_t column = column_at(place);
      const float value = !each ? values[0] : column < columns ? values[column] : 0.0f;
      to[place] = factor * value / divisor;
    }
  }
};

}  // namespace lanewise
