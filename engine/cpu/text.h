// UTF-8 text by code point, with upper and lower case.
#pragma once

#include <cstddef>
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
std::string lower_text(std::string_view text);
std::string upper_text(std::string_view text);

}  // namespace lanewise
