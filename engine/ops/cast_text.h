// Numbers as text and back, for Cast.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/half.h"

namespace lanewise {

struct TextNumber {
  bool integral = false;  // `integer` holds it exactly; `real` holds any other number
  std::int64_t integer = 0;
  double real = 0.0;
};

// Plain and scientific notation, INF and NaN in any case, an optional sign, spaces around.
std::optional<TextNumber> parse_number(std::string_view text);

// As NumPy prints it: the shortest decimal that reads back as the same value of the type, in
// scientific notation below 1e-4 and from 1e16 on; "nan", "inf", "True".
std::string number_text(float x);
std::string number_text(double x);
std::string number_text(Float16 x);
std::string number_text(BFloat16 x);
std::string number_text(bool x);
inline std::string number_text(std::int64_t x) { return std::to_string(x); }
inline std::string number_text(std::uint64_t x) { return std::to_string(x); }
inline std::string number_text(std::int32_t x) { return std::to_string(x); }
inline std::string number_text(std::uint32_t x) { return std::to_string(x); }
inline std::string number_text(std::int16_t x) { return std::to_string(x); }
inline std::string number_text(std::uint16_t x) { return std::to_string(x); }
inline std::string number_text(std::int8_t x) { return std::to_string(x); }
inline std::string number_text(std::uint8_t x) { return std::to_string(x); }

}  // namespace lanewise
