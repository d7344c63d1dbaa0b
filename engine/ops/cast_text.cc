// Numbers as text and back. No operator is here.
#include "engine/ops/cast_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace lanewise {
namespace {

template <class T>
std::string decimal(T x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  const T magnitude = std::abs(x);
  const bool plain = magnitude == 0 || (magnitude >= T(1e-4) && magnitude < T(1e16));
  char buffer[64];
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const char* end = std::to_chars(buffer, buffer + sizeof(buffer), x, format).ptr;
  std::string text(buffer, static_cast<std::size_t>(end - buffer));
  return plain && text.find('.') == std::string::npos ? text + ".0" : text;
}

// Six digits tell any two values of a 16-bit float apart.
template <class Half>
std::string shortest_half(Half x) {
  const float value = x;
  for (int digits = 0; digits < 6 && std::isfinite(value); ++digits) {
    char buffer[32];
    const char* end =
        std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific, digits)
            .ptr;
    float rounded = 0.0f;
    std::from_chars(buffer, end, rounded);
    if (Half(rounded).bits == x.bits) return decimal(rounded);
  }
  return decimal(value);
}

}  // namespace

std::string number_text(float x) { return decimal(x); }
std::string number_text(double x) { return decimal(x); }
std::string number_text(Float16 x) { return shortest_half(x); }
std::string number_text(BFloat16 x) { return shortest_half(x); }
std::string number_text(bool x) { return x ? "True" : "False"; }

std::optional<TextNumber> parse_number(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  TextNumber number;
  const char* end = text.data() + text.size();
  const auto whole = std::from_chars(text.data(), end, number.integer);
  if (whole.ec == std::errc() && whole.ptr == end && !(number.integer == 0 && text[0] == '-')) {
    number.integral = true;
    return number;
  }
  const auto real =
      std::from_chars(text.data(), end, number.real);  // knows inf and nan in any case
  if (real.ptr != end) return std::nullopt;
  if (real.ec == std::errc::result_out_of_range) {
    // Too large or too small for double: the exponent's sign tells which.
    const bool tiny = text.find("e-") != std::string_view::npos ||
                      text.find("E-") != std::string_view::npos ||
                      text.substr(text[0] == '-' ? 1 : 0).starts_with("0.");
    number.real = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    if (text[0] == '-') number.real = -number.real;
  } else if (real.ec != std::errc()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace lanewise
