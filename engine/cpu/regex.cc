// The pattern as a nondeterministic automaton, all of whose states advance together over the text
// (Thompson, "Regular expression search algorithm", 1968). What matches is asked, not where, so no
// positions are kept.
#include "engine/cpu/regex.h"

#include "engine/base/error.h"
#include "engine/cpu/text.h"

namespace lanewise {
namespace {

using Kind = RegexNode::Kind;

// Bounds what a pattern such as ((a{1000}){1000}){1000} may ask for, and the time for a byte.
constexpr std::size_t kMostInstructions = 50000;

// Before the first and after the last code point.
constexpr char32_t kOutside = 0xFFFFFFFF;

bool in_ranges(const RuneSet& set, char32_t rune) {
  for (const auto& [first, last] : set.ranges) {
    if (first <= rune && rune <= last) return true;
  }
  return false;
}

bool is_word(char32_t rune) {
  return (rune >= '0' && rune <= '9') || (rune >= 'A' && rune <= 'Z') || rune == '_' ||
         (rune >= 'a' && rune <= 'z');
}

bool holds(Kind assertion, char32_t before, char32_t after) {
  switch (assertion) {
    case Kind::kTextStart: return before == kOutside;
    case Kind::kTextEnd: return after == kOutside;
    case Kind::kLineStart: return before == kOutside || before == '\n';
    case Kind::kLineEnd: return after == kOutside || after == '\n';
    case Kind::kBoundary: return is_word(before) != is_word(after);
    case Kind::kNoBoundary: return is_word(before) == is_word(after);
    default: return true;
  }
}

}  // namespace

bool RuneSet::contains(char32_t rune) const {
  const bool found =
      in_ranges(*this, rune) ||
      (fold && (in_ranges(*this, lower_rune(rune)) || in_ranges(*this, upper_rune(rune))));
  return found != negated;
}

// The states to advance, each once.
struct Regex::Threads {
  explicit Threads(std::size_t size) : seen(size, 0) {}
  std::vector<std::uint32_t> states;
  std::vector<char> seen;
  std::vector<std::uint32_t> open;  // still to follow
  bool matched = false;             // the end of the pattern was reached

  void clear() {
    states.clear();
    std::fill(seen.begin(), seen.end(), char{0});
    matched = false;
  }
};

Regex::Regex(std::string_view pattern) {
  compile(parse_regex(pattern, sets_));
  emit({});
}

std::uint32_t Regex::emit(Instruction instruction) {
  if (program_.size() >= kMostInstructions) {
    throw ModelError("the pattern is too large: its repetitions spell out more than " +
                     std::to_string(kMostInstructions) + " steps");
  }
  program_.push_back(instruction);
  return static_cast<std::uint32_t>(program_.size() - 1);
}

void Regex::compile(const RegexNode& node) {
  const auto next = static_cast<std::uint32_t>(program_.size() + 1);
  switch (node.kind) {
    case Kind::kEmpty: return;
    case Kind::kSet:
      emit({.kind = Instruction::Kind::kSet,
            .set = static_cast<std::uint32_t>(node.index),
            .next = next});
      return;
    case Kind::kConcat:
      for (const RegexNode& child : node.children) compile(child);
      return;
    case Kind::kAlternate: return compile_alternate(node);
    case Kind::kRepeat: return compile_repeat(node);
    default: emit({.kind = Instruction::Kind::kAssert, .assertion = node.kind, .next = next});
  }
}

void Regex::compile_alternate(const RegexNode& node) {
  std::vector<std::uint32_t> ends;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const bool last = i + 1 == node.children.size();
    const std::uint32_t split = last ? 0 : emit({.kind = Instruction::Kind::kSplit});
    if (!last) program_[split].next = split + 1;
    compile(node.children[i]);
    if (last) break;
    ends.push_back(emit({.kind = Instruction::Kind::kJump}));
    program_[split].other = static_cast<std::uint32_t>(program_.size());
  }
  for (std::uint32_t end : ends) program_[end].next = static_cast<std::uint32_t>(program_.size());
}

void Regex::compile_repeat(const RegexNode& node) {
  for (int i = 0; i < node.least; ++i) compile(node.children[0]);
  if (node.most < 0) {
    const std::uint32_t split = emit({.kind = Instruction::Kind::kSplit});
    program_[split].next = split + 1;
    compile(node.children[0]);
    emit({.kind = Instruction::Kind::kJump, .next = split});
    program_[split].other = static_cast<std::uint32_t>(program_.size());
    return;
  }
  std::vector<std::uint32_t> splits;
  for (int i = node.least; i < node.most; ++i) {
    splits.push_back(emit({.kind = Instruction::Kind::kSplit}));
    program_[splits.back()].next = splits.back() + 1;
    compile(node.children[0]);
  }
  for (std::uint32_t split : splits)
    program_[split].other = static_cast<std::uint32_t>(program_.size());
}

// Adds the states that `start` reaches between two code points.
void Regex::follow(std::uint32_t start, char32_t before, char32_t after, Threads& threads) const {
  threads.open.push_back(start);
  while (!threads.open.empty()) {
    const std::uint32_t at = threads.open.back();
    threads.open.pop_back();
    if (threads.seen[at] != 0) continue;
    threads.seen[at] = 1;
    const Instruction& instruction = program_[at];
    switch (instruction.kind) {
      case Instruction::Kind::kSet: threads.states.push_back(at); break;
      case Instruction::Kind::kMatch: threads.matched = true; break;
      case Instruction::Kind::kAssert:
        if (holds(instruction.assertion, before, after)) threads.open.push_back(instruction.next);
        break;
      case Instruction::Kind::kSplit: threads.open.push_back(instruction.other); [[fallthrough]];
      case Instruction::Kind::kJump: threads.open.push_back(instruction.next); break;
    }
  }
}

bool Regex::full_match(std::string_view text) const {
  Threads now(program_.size()), then(program_.size());
  std::size_t at = 0;
  const auto read = [&] { return at < text.size() ? next_rune(text, at) : kOutside; };
  char32_t before = kOutside, rune = read();
  follow(0, before, rune, now);
  while (rune != kOutside && !now.states.empty()) {
    const char32_t after = read();
    then.clear();
    for (std::uint32_t state : now.states) {
      const Instruction& instruction = program_[state];
      if (sets_[instruction.set].contains(rune)) follow(instruction.next, rune, after, then);
    }
    std::swap(now, then);
    before = rune;
    rune = after;
  }
  return rune == kOutside && now.matched;
}

}  // namespace lanewise
