// RE2's syntax (its wiki page "Syntax"), read by recursive descent.
#include <algorithm>
#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "engine/cpu/regex.h"
#include "engine/cpu/text.h"
#include "engine/cpu/unicode_categories.h"

namespace lanewise {
namespace {

using Kind = RegexNode::Kind;
using Ranges = std::vector<std::pair<char32_t, char32_t>>;

constexpr char32_t kLast = 0x10FFFF;
constexpr int kMostRepeats = 1000;  // RE2's own limit
constexpr int kMostDepth = 250;     // of groups: each takes the parser's stack

struct Named {
  std::string_view name;
  std::string_view ranges;  // pairs of first and last
};
constexpr Named kPosix[] = {
    {"alnum", "09AZaz"},   {"alpha", "AZaz"},   {"ascii", std::string_view("\0\x7f", 2)},
    {"blank", "\t\t  "},   {"digit", "09"},     {"cntrl", std::string_view("\0\x1f\x7f\x7f", 4)},
    {"graph", "!~"},       {"lower", "az"},     {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"upper", "AZ"},
    {"word", "09AZ__az"},  {"xdigit", "09AFaf"}};

Ranges pairs(std::string_view text) {
  Ranges ranges;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    ranges.emplace_back(static_cast<unsigned char>(text[i]),
                        static_cast<unsigned char>(text[i + 1]));
  }
  return ranges;
}

// All code points that are in none of the ranges.
Ranges complement(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges result;
  char32_t next = 0;
  for (const auto& [first, last] : ranges) {
    if (first > next) result.emplace_back(next, first - 1);
    next = std::max<char32_t>(next, last + 1);
  }
  if (next <= kLast) result.emplace_back(next, kLast);
  return result;
}

// \d, \s, \w and their complements.
std::optional<Ranges> perl_class(char32_t letter) {
  switch (letter) {
    case 'd': return pairs("09");
    case 's': return pairs("\t\n\f\r  ");
    case 'w': return pairs("09AZ__az");
    case 'D': return complement(pairs("09"));
    case 'S': return complement(pairs("\t\n\f\r  "));
    case 'W': return complement(pairs("09AZ__az"));
    default: return std::nullopt;
  }
}

struct Flags {
  bool fold = false, dot_newline = false, lines = false;
};

class Parser {
 public:
  Parser(std::string_view pattern, std::vector<RuneSet>& sets) : text_(pattern), sets_(sets) {}

  RegexNode parse() {
    Flags flags;
    RegexNode node = alternation(flags, 0);
    if (!done()) fail("unexpected )");
    return node;
  }

 private:
  bool done() const { return at_ >= text_.size(); }
  bool sees(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!sees(what)) return false;
    at_ += what.size();
    return true;
  }
  char32_t next() {
    if (done()) fail("the pattern ends too early");
    return next_rune(text_, at_);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw ModelError("pattern '" + std::string(text_.substr(0, 200)) + "': " + what + " at byte " +
                     std::to_string(at_) + "; RE2's syntax is expected");
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    const std::string text =
        "pattern '" + std::string(text_.substr(0, 200)) + "': " + what + " is not supported";
    throw UnsupportedError(text, {text});
  }

  RegexNode set(Ranges ranges, bool negated, const Flags& flags) {
    sets_.push_back({std::move(ranges), negated, flags.fold});
    return {.kind = Kind::kSet, .index = sets_.size() - 1};
  }
  RegexNode literal(char32_t rune, const Flags& flags) { return set({{rune, rune}}, false, flags); }

  RegexNode alternation(Flags& flags, int depth) {
    if (depth > kMostDepth) fail("groups are nested too deeply");
    RegexNode node{.kind = Kind::kAlternate};
    do {
      node.children.push_back(sequence(flags, depth));
    } while (take("|"));
    return node;
  }

  RegexNode sequence(Flags& flags, int depth) {
    RegexNode node{.kind = Kind::kConcat};
    while (!done() && !sees("|") && !sees(")")) {
      if (take("\\Q")) {
        bool any = false;
        for (; !done() && !take("\\E"); any = true) node.children.push_back(literal(next(), flags));
        if (any) node.children.back() = repeated(std::move(node.children.back()));
        continue;
      }
      node.children.push_back(repeated(atom(flags, depth)));
    }
    return node;
  }

  // The node with the repetition that follows it. A second one is an error, as in RE2.
  RegexNode repeated(RegexNode node) {
    int least = 0, most = 0;
    if (!repetition(least, most)) return node;
    take("?");  // which match is preferred does not matter here
    int again = 0;
    const std::size_t end = at_;
    if (repetition(again, again)) {
      at_ = end;
      fail("a repetition of a repetition");
    }
    RegexNode result{.kind = Kind::kRepeat, .least = least, .most = most};
    result.children.push_back(std::move(node));
    return result;
  }

  bool repetition(int& least, int& most) {
    if (take("*")) return least = 0, most = -1, true;
    if (take("+")) return least = 1, most = -1, true;
    if (take("?")) return least = 0, most = 1, true;
    const std::size_t start = at_;
    if (!take("{")) return false;
    const std::optional<int> first = number();
    bool good = first.has_value();
    if (good) least = most = *first;
    if (good && take(",")) {
      most = -1;
      if (const std::optional<int> second = number()) most = *second;
    }
    if (!good || !take("}")) {
      at_ = start;  // a brace that is no repetition stands for itself
      return false;
    }
    if (least > kMostRepeats || most > kMostRepeats || (most >= 0 && most < least)) {
      fail("repetitions must be ordered and at most 1000");
    }
    return true;
  }

  std::optional<int> number() {
    const std::size_t start = at_;
    int value = 0;
    while (!done() && text_[at_] >= '0' && text_[at_] <= '9' && value <= kMostRepeats) {
      value = value * 10 + (text_[at_++] - '0');
    }
    if (at_ == start) return std::nullopt;
    return value;
  }

  RegexNode atom(Flags& flags, int depth) {
    if (take("(")) return group(flags, depth);
    if (take("[")) return bracket(flags);
    if (take("\\")) return escape(flags);
    if (sees("*") || sees("+") || sees("?")) fail("nothing to repeat");
    const char32_t rune = next();
    if (rune == '.') return set(flags.dot_newline ? Ranges{} : pairs("\n\n"), true, {});
    if (rune == '^') return {.kind = flags.lines ? Kind::kLineStart : Kind::kTextStart};
    if (rune == '$') return {.kind = flags.lines ? Kind::kLineEnd : Kind::kTextEnd};
    return literal(rune, flags);
  }

  RegexNode group(Flags& flags, int depth) {
    Flags inner = flags;
    if (take("?P<") || take("?<")) {
      while (!take(">")) (void)next();
    } else if (take("?")) {
      bool on = true;
      while (!sees(":") && !sees(")")) {
        const char32_t flag = next();
        if (flag == '-') {
          on = false;
        } else if (!set_flag(inner, flag, on)) {
          fail("an unknown flag or kind of group");
        }
      }
      if (take(")")) {  // for the rest of the group around
        flags = inner;
        return {};
      }
      take(":");
    }
    RegexNode node = alternation(inner, depth + 1);
    if (!take(")")) fail("a missing )");
    return node;
  }

  static bool set_flag(Flags& flags, char32_t flag, bool on) {
    switch (flag) {
      case 'i': flags.fold = on; return true;
      case 's': flags.dot_newline = on; return true;
      case 'm': flags.lines = on; return true;
      case 'U': return true;  // which match is preferred does not matter here
      default: return false;
    }
  }

  RegexNode escape(const Flags& flags) {
    if (take("A")) return {.kind = Kind::kTextStart};
    if (take("z")) return {.kind = Kind::kTextEnd};
    if (take("b")) return {.kind = Kind::kBoundary};
    if (take("B")) return {.kind = Kind::kNoBoundary};
    if (auto ranges = named_class()) return set(std::move(*ranges), false, {});
    return literal(escaped(), flags);
  }

  // What stands for several code points after a backslash: \d and the like, \pL, \P{Lu}.
  std::optional<Ranges> named_class() {
    if (done()) return std::nullopt;
    if (auto ranges = perl_class(static_cast<unsigned char>(text_[at_]))) {
      ++at_;
      return ranges;
    }
    if (!sees("p") && !sees("P")) return std::nullopt;
    bool negated = take("P");
    if (!negated) take("p");
    std::string name;
    if (take("{")) {
      if (take("^")) negated = !negated;
      while (!take("}")) append_rune(name, next());
    } else {
      append_rune(name, next());
    }
    Ranges ranges = name == "Any" ? Ranges{{0, kLast}} : category_ranges(name);
    if (name.empty() || ranges.empty())
      unsupported("the Unicode class '" + name + "', which is no general category,");
    return negated ? complement(std::move(ranges)) : ranges;
  }

  // The code point that an escape stands for, after the backslash.
  char32_t escaped() {
    if (sees("C")) unsupported("a single byte, \\C,");
    const char32_t rune = next();
    switch (rune) {
      case 'a': return '\a';
      case 'f': return '\f';
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'v': return '\v';
      case 'x': return hexadecimal();
      default: break;
    }
    if (rune >= '0' && rune <= '7') return octal(rune);
    const bool letter = (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
    if (letter || rune == '8' || rune == '9' || rune >= 0x80) fail("an unknown escape");
    return rune;
  }

  // Octal: \0 and two more digits, or three; one digit from 1 on would be a back reference.
  char32_t octal(char32_t first) {
    const auto digit = [&] { return !done() && text_[at_] >= '0' && text_[at_] <= '7'; };
    if (first != '0' && !digit()) fail("a back reference, which RE2 does not have,");
    char32_t value = first - '0';
    for (int i = 0; i < 2 && digit(); ++i)
      value = value * 8 + static_cast<char32_t>(text_[at_++] - '0');
    return value;
  }

  char32_t hexadecimal() {
    const bool braced = take("{");
    char32_t value = 0;
    int digits = 0;
    for (; braced ? !sees("}") : digits < 2; ++digits) {
      const char32_t rune = lower_rune(next());
      const bool decimal = rune >= '0' && rune <= '9';
      if (!decimal && (rune < 'a' || rune > 'f')) fail("a bad hexadecimal digit");
      value = value * 16 + (decimal ? rune - '0' : rune - 'a' + 10);
      if (value > kLast) fail("a code point beyond 10FFFF");
    }
    if (digits == 0) fail("a missing hexadecimal digit");
    if (braced) take("}");
    return value;
  }

  RegexNode bracket(const Flags& flags) {
    const bool negated = take("^");
    Ranges ranges;
    for (bool first = true; first || !sees("]"); first = false) {
      if (done()) fail("a missing ]");
      if (take("[:")) {
        add(ranges, posix_class());
        continue;
      }
      if (take("\\")) {
        if (const auto known = named_class()) {
          add(ranges, *known);
          continue;
        }
        --at_;
      }
      const char32_t from = member();
      char32_t to = from;
      if (sees("-") && !sees("-]")) {
        take("-");
        to = member();
        if (to < from) fail("a range that ends before it begins");
      }
      ranges.emplace_back(from, to);
    }
    take("]");
    return set(std::move(ranges), negated, flags);
  }

  static void add(Ranges& ranges, const Ranges& more) {
    ranges.insert(ranges.end(), more.begin(), more.end());
  }

  char32_t member() { return take("\\") ? escaped() : next(); }

  Ranges posix_class() {
    const bool negated = take("^");
    for (const Named& named : kPosix) {
      if (!take(std::string(named.name) + ":]")) continue;
      return negated ? complement(pairs(named.ranges)) : pairs(named.ranges);
    }
    fail("an unknown class [:...:]");
  }

  std::string_view text_;
  std::vector<RuneSet>& sets_;
  std::size_t at_ = 0;
};

}  // namespace

RegexNode parse_regex(std::string_view pattern, std::vector<RuneSet>& sets) {
  return Parser(pattern, sets).parse();
}

}  // namespace lanewise
