// UTF-8 text by code point, with upper and lower case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lanewise {

// The code point at `at`, which moves past it; U+FFFD, one byte long, where there is none.
char32_t next_rune(std::string_view text, std::size_t& at);
void append_rune(std::string& text, char32_t rune);

// As Python's str.isspace.
bool is_space(char32_t rune);

// Case by code point, independent of the process's locale: "ß" stays itself.
char32_t lower_rune(char32_t rune);
char32_t upper_rune(char32_t rune);

// Whose rules whole texts follow. They differ from Unicode's for single letters where i has two
// forms, with a dot and without.
enum class Language : std::uint8_t { kAny, kDotlessI };
// Of "tr_TR.UTF-8", "az" and the like; kAny for all others.
Language language_of(std::string_view locale);
std::string lower_text(std::string_view text, Language language = Language::kAny);
std::string upper_text(std::string_view text, Language language = Language::kAny);

}  // namespace lanewise
