// Unicode's general categories, as ranges of code points.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace lanewise {

// First and last code points of the category ("Lu"), or of all those of a letter ("L"), ascending;
// empty where Unicode has none of that name. Code points that are not assigned are in none.
std::vector<std::pair<char32_t, char32_t>> category_ranges(std::string_view name);

}  // namespace lanewise
