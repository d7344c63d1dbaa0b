// See text.h. Letters' cases come from the C library's table for UTF-8.
#include "engine/cpu/text.h"

#include <clocale>
#include <cstdint>
#include <cwctype>

namespace lanewise {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// A locale object of our own: what the process chose changes nothing here. Null where the system
// has no such locale, and then only ASCII letters change case.
locale_t utf8_locale() {
  static const locale_t locale =
      newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr));
  return locale;
}

// Turkish and Azerbaijani: I is the capital of a dotless i, a dotted one that of i.
constexpr char32_t kDotlessI = 0x131, kDottedI = 0x130;

char32_t lower_dotless(char32_t rune) {
  return rune == 'I' ? kDotlessI : rune == kDottedI ? U'i' : lower_rune(rune);
}
char32_t upper_dotless(char32_t rune) {
  return rune == 'i' ? kDottedI : rune == kDotlessI ? U'I' : upper_rune(rune);
}

std::string mapped(std::string_view text, char32_t (*map)(char32_t)) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t rune = next_rune(text, at);
    if (rune == kReplacement) {
      result.append(text.substr(start, at - start));  // as it is, valid or not
    } else {
      append_rune(result, map(rune));
    }
  }
  return result;
}

}  // namespace

char32_t next_rune(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0u;
  };
  const std::uint32_t first = byte(at);
  const std::size_t start = at++;
  if (first < 0x80) return first;
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4) return kReplacement;
  char32_t rune = first & (0x3Fu >> more);
  for (int i = 1; i <= more; ++i) {
    const std::uint32_t next = byte(start + static_cast<std::size_t>(i));
    if ((next & 0xC0u) != 0x80u) return kReplacement;
    rune = rune << 6 | (next & 0x3Fu);
  }
  constexpr char32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  const bool surrogate = rune >= 0xD800 && rune <= 0xDFFF;
  if (rune < kLeast[more] || rune > 0x10FFFF || surrogate) return kReplacement;
  at = start + 1 + static_cast<std::size_t>(more);
  return rune;
}

void append_rune(std::string& text, char32_t rune) {
  if (rune < 0x80) {
    text += static_cast<char>(rune);
    return;
  }
  const int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
  constexpr std::uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(kLead[more] | rune >> (6 * more));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80u | (rune >> (6 * i) & 0x3Fu));
}

bool is_space(char32_t rune) {
  return (rune >= 0x09 && rune <= 0x0D) || (rune >= 0x1C && rune <= 0x20) || rune == 0x85 ||
         rune == 0xA0 || rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200A) || rune == 0x2028 ||
         rune == 0x2029 || rune == 0x202F || rune == 0x205F || rune == 0x3000;
}

char32_t lower_rune(char32_t rune) {
  if (rune < 0x80) return rune >= 'A' && rune <= 'Z' ? rune + ('a' - 'A') : rune;
  const locale_t locale = utf8_locale();
  return locale == nullptr ? rune
                           : static_cast<char32_t>(towlower_l(static_cast<wint_t>(rune), locale));
}

char32_t upper_rune(char32_t rune) {
  if (rune < 0x80) return rune >= 'a' && rune <= 'z' ? rune - ('a' - 'A') : rune;
  const locale_t locale = utf8_locale();
  return locale == nullptr ? rune
                           : static_cast<char32_t>(towupper_l(static_cast<wint_t>(rune), locale));
}

Language language_of(std::string_view locale) {
  const std::string_view name = locale.substr(0, locale.find_first_of("_-.@"));
  return name == "tr" || name == "az" ? Language::kDotlessI : Language::kAny;
}

std::string lower_text(std::string_view text, Language language) {
  return mapped(text, language == Language::kDotlessI ? lower_dotless : lower_rune);
}
std::string upper_text(std::string_view text, Language language) {
  return mapped(text, language == Language::kDotlessI ? upper_dotless : upper_rune);
}

}  // namespace lanewise
