// Integers rounded up to whole units; arguments are not negative.
#pragma once

#include <cstdint>

namespace lanewise {

constexpr std::int64_t divide_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit;
}
constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return divide_up(n, unit) * unit;
}

}  // namespace lanewise
