// Regular expressions in RE2's syntax, matched against whole texts in time linear in the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lanewise {

// Code points; `fold` takes either case.
struct RuneSet {
  std::vector<std::pair<char32_t, char32_t>> ranges;  // first, last
  bool negated = false;
  bool fold = false;

  bool contains(char32_t rune) const;
};

struct RegexNode {
  enum class Kind : std::uint8_t {
    kEmpty,
    kSet,         // one code point of sets[index]
    kTextStart,   // ^ and \A
    kTextEnd,     // $ and \z
    kLineStart,   // ^ in (?m)
    kLineEnd,     // $ in (?m)
    kBoundary,    // \b
    kNoBoundary,  // \B
    kConcat,
    kAlternate,
    kRepeat,  // children[0], least to most times; most < 0: no end
  };
  Kind kind = Kind::kEmpty;
  std::size_t index = 0;
  int least = 0, most = 0;
  std::vector<RegexNode> children = {};
};

// The pattern as a tree over `sets`. Throws ModelError saying what is wrong at which byte, and
// UnsupportedError for Unicode's scripts (\p{Greek}) and single bytes (\C).
RegexNode parse_regex(std::string_view pattern, std::vector<RuneSet>& sets);

// Immutable; safe from several threads.
class Regex {
 public:
  // Throws as parse_regex, and ModelError when the pattern is too large.
  explicit Regex(std::string_view pattern);

  // Whether the pattern matches the text from end to end.
  bool full_match(std::string_view text) const;

 private:
  struct Instruction {
    // kSplit goes on at both `next` and `other`.
    enum class Kind : std::uint8_t { kSet, kAssert, kSplit, kJump, kMatch };
    Kind kind = Kind::kMatch;
    RegexNode::Kind assertion = RegexNode::Kind::kEmpty;
    std::uint32_t set = 0, next = 0, other = 0;
  };
  struct Threads;

  std::uint32_t emit(Instruction instruction);
  void compile(const RegexNode& node);
  void compile_alternate(const RegexNode& node);
  void compile_repeat(const RegexNode& node);
  void follow(std::uint32_t start, char32_t before, char32_t after, Threads& threads) const;

  std::vector<RuneSet> sets_;
  std::vector<Instruction> program_;
};

}  // namespace lanewise
