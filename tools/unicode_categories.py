"""Writes engine/cpu/unicode_categories.cc from the Unicode data that Python comes with.

python -m tools.unicode_categories
"""

from __future__ import annotations

import sys
import unicodedata
from itertools import groupby
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "engine" / "cpu" / "unicode_categories.cc"
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
WIDTH = 92


def number(value: int) -> str:
    """Five bits to a digit, low ones first; digits from 32 on are not the last."""
    text = ""
    while value >= 32:
        text += DIGITS[32 + value % 32]
        value //= 32
    return text + DIGITS[value]


def content() -> str:
    """The file."""
    every = [unicodedata.category(chr(code)) for code in range(sys.maxunicode + 1)]
    names = sorted(set(every))
    table = "".join(
        DIGITS[names.index(name)] + number(len(list(run))) for name, run in groupby(every)
    )
    lines = [f'    "{table[i : i + WIDTH]}"' for i in range(0, len(table), WIDTH)]
    return f"""// General categories of Unicode {unicodedata.unidata_version}, run by run. Made by
// `python -m tools.unicode_categories`; the form is told there.
#include "engine/cpu/unicode_categories.h"

#include <cstddef>

namespace lanewise {{
namespace {{

constexpr std::string_view kDigits =
    "{DIGITS}";
constexpr std::string_view kNames =  // two letters for each category
    "{"".join(names)}";
constexpr std::string_view kRuns =
{chr(10).join(lines)};

}}  // namespace

std::vector<std::pair<char32_t, char32_t>> category_ranges(std::string_view name) {{
  std::vector<std::pair<char32_t, char32_t>> ranges;
  char32_t first = 0;
  for (std::size_t at = 0; at < kRuns.size();) {{
    const std::string_view category = kNames.substr(2 * kDigits.find(kRuns[at++]), 2);
    std::size_t length = 0, digit = 32;
    for (int shift = 0; digit >= 32; shift += 5) {{
      digit = kDigits.find(kRuns[at++]);
      length |= digit % 32 << shift;
    }}
    const auto next = static_cast<char32_t>(first + length);
    if (category.starts_with(name) && category != "Cn") ranges.emplace_back(first, next - 1);
    first = next;
  }}
  return ranges;
}}

}}  // namespace lanewise
"""


if __name__ == "__main__":
    TARGET.write_text(content(), encoding="utf-8")
