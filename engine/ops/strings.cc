// Texts: joined, split, normalised, matched. Text to and from numbers is Cast.
#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/regex.h"
#include "engine/cpu/text.h"
#include "engine/ops/binary.h"

namespace lanewise {
namespace {

struct Join {
  std::string operator()(const std::string& a, const std::string& b) const { return a + b; }
};

Step lower_concat(LowerContext& c) {
  return binary_step<std::string, std::string, std::string, Join>(c);
}

void infer_normalizer(InferContext& c) {
  c.expect_dtype(0, {DType::kString});
  const Shape& shape = c.shape(0);
  if (shape.rank() != 1 && (shape.rank() != 2 || shape[0] != 1)) {
    c.fail("input 0 must have shape [C] or [1, C], found " + shape.str());
  }
  const std::string_view action = c.attr_string("case_change_action");
  if (action != "NONE" && action != "LOWER" && action != "UPPER") {
    c.fail("attribute 'case_change_action' is '" + std::string(action) +
           "', expected NONE, LOWER or UPPER");
  }
  c.set_emitted(0, DType::kString);
}

Step lower_normalizer(LowerContext& c) {
  const bool sensitive = c.attr_int("is_case_sensitive") != 0;
  const Language language = language_of(c.attr_string("locale"));
  std::set<std::string, std::less<>> stops;
  for (const std::string& word : c.attr_strings("stopwords")) {
    stops.insert(sensitive ? word : lower_text(word, language));
  }
  Step step;
  step.algorithm = "texts";
  step.run = [sensitive, language, stops = std::move(stops), count = c.shape(0).elements(),
              rank = c.shape(0).rank(),
              action = std::string(c.attr_string("case_change_action"))](const RunContext& run) {
    std::vector<std::string> kept;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string& text = run.in<std::string>(0)[i];
      if (stops.contains(sensitive ? text : lower_text(text, language))) continue;
      kept.push_back(action == "LOWER"   ? lower_text(text, language)
                     : action == "UPPER" ? upper_text(text, language)
                                         : text);
    }
    if (kept.empty()) kept.emplace_back();
    const Tensor result = Tensor::from(std::span<const std::string>(kept));
    run.emitter->emit(0, rank == 1 ? result : result.reshaped({1, result.elements()}));
  };
  return step;
}

// The parts between white space, as Python's str.split(): at most `most` cuts, none if negative.
std::vector<std::string> split_at_spaces(std::string_view text, std::int64_t most) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  const auto skip = [&](bool spaces) {
    while (at < text.size()) {
      std::size_t next = at;
      if (is_space(next_rune(text, next)) != spaces) return;
      at = next;
    }
  };
  for (skip(true); at < text.size(); skip(true)) {
    const std::size_t start = at;
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      at = text.size();
    } else {
      skip(false);
    }
    parts.emplace_back(text.substr(start, at - start));
  }
  return parts;
}

std::vector<std::string> split_at(std::string_view text, std::string_view delimiter,
                                  std::int64_t most) {
  if (delimiter.empty()) return split_at_spaces(text, most);
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (most < 0 || static_cast<std::int64_t>(parts.size()) < most) {
    const std::size_t end = text.find(delimiter, start);
    if (end == std::string_view::npos) break;
    parts.emplace_back(text.substr(start, end - start));
    start = end + delimiter.size();
  }
  parts.emplace_back(text.substr(start));
  return parts;
}

void infer_split(InferContext& c) {
  c.expect_dtype(0, {DType::kString});
  c.set_emitted(0, DType::kString);
  c.set_emitted(1, DType::kInt64);
}

Step lower_split(LowerContext& c) {
  Step step;
  step.algorithm = "texts";
  step.run = [shape = c.shape(0), delimiter = std::string(c.attr_string("delimiter")),
              most = c.attr_int("maxsplit")](const RunContext& run) {
    const std::int64_t count = shape.elements();
    std::vector<std::vector<std::string>> parts;
    Tensor counts = Tensor::allocate(DType::kInt64, shape);
    std::int64_t widest = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      parts.push_back(split_at(run.in<std::string>(0)[i], delimiter, most));
      const auto size = static_cast<std::int64_t>(parts.back().size());
      counts.mutable_as<std::int64_t>()[i] = size;
      widest = std::max(widest, size);
    }
    Shape split = shape;
    split.push_back(widest);
    Tensor result = Tensor::allocate(DType::kString, std::move(split));
    auto* out = result.mutable_as<std::string>();
    for (std::vector<std::string>& texts : parts) {
      std::move(texts.begin(), texts.end(), out);
      out += widest;
    }
    run.emitter->emit(0, std::move(result));
    run.emitter->emit(1, std::move(counts));
  };
  return step;
}

// The attribute, compiled; its errors name the node.
std::shared_ptr<const Regex> regex_of(const OpContext& c) {
  try {
    return std::make_shared<const Regex>(c.attr_string("pattern"));
  } catch (const UnsupportedError& error) {
    c.unsupported(error.what());
  } catch (const ModelError& error) {
    c.fail(error.what());
  }
}

void infer_match(InferContext& c) {
  c.expect_dtype(0, {DType::kString});
  (void)regex_of(c);
  c.set_output(0, DType::kBool, c.shape(0));
}

Step lower_match(LowerContext& c) {
  Step step;
  step.algorithm = "automaton";
  step.run = [regex = regex_of(c), n = c.shape(0).elements()](const RunContext& run) {
    for (std::int64_t i = 0; i < n; ++i) {
      run.out<bool>(0)[i] = regex->full_match(run.in<std::string>(0)[i]);
    }
  };
  return step;
}

constexpr AttrDef kNormalizerAttrs[] = {
    {.name = "stopwords", .type = AttrType::kStrings, .doc = "elements that are dropped"},
    {.name = "is_case_sensitive", .type = AttrType::kInt, .doc = "1: only in their own case"},
    {.name = "case_change_action",
     .type = AttrType::kString,
     .doc = "NONE, LOWER or UPPER",
     .string_default = "NONE"},
    {.name = "locale",
     .type = AttrType::kString,
     .doc = "cases are Unicode's, but for i of tr and az (Turkish and Azerbaijani)"}};
constexpr AttrDef kSplitAttrs[] = {
    {.name = "delimiter", .type = AttrType::kString, .doc = "white space if empty"},
    {.name = "maxsplit",
     .type = AttrType::kInt,
     .doc = "most cuts; no limit if negative",
     .int_default = -1}};
constexpr AttrDef kMatchAttrs[] = {
    {.name = "pattern", .type = AttrType::kString, .doc = "in RE2's syntax"}};

constexpr OpDef kOps[] = {
    {.name = "StringConcat",
     .doc = "a + b, broadcast.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_binary<kStrings>,
     .lower = lower_concat},
    {.name = "StringNormalizer",
     .doc = "Elements but stop words, in one case.",
     .attributes = kNormalizerAttrs,
     .infer = infer_normalizer,
     .lower = lower_normalizer},
    {.name = "StringSplit",
     .doc = "The parts of each element, and how many there are.",
     .max_outputs = 2,
     .attributes = kSplitAttrs,
     .infer = infer_split,
     .lower = lower_split},
    {.name = "RegexFullMatch",
     .doc = "Whether a regular expression matches each element as a whole.",
     .attributes = kMatchAttrs,
     .infer = infer_match,
     .lower = lower_match},
};

}  // namespace

extern const OpTable strings_ops;
const OpTable strings_ops = {kOps};

}  // namespace lanewise
