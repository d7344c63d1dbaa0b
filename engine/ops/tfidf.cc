// TfIdfVectorizer: counts of n-grams with skips, found in a trie over token numbers.
#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// Bounds the output of a file that names one far column.
constexpr std::int64_t kMostColumns = std::int64_t{1} << 28;

enum class Mode : std::uint8_t { kTf, kIdf, kTfIdf };

Mode mode_of(const OpContext& c) {
  const std::string_view name = c.attr_string("mode");
  if (name == "TF") return Mode::kTf;
  if (name == "IDF") return Mode::kIdf;
  if (name == "TFIDF") return Mode::kTfIdf;
  c.fail("attribute 'mode' is '" + std::string(name) + "', expected TF, IDF or TFIDF");
}

// Lengths of n-grams that count, and how far their items may lie apart.
struct Span {
  std::int64_t least = 1, most = 1, skips = 0;
};

Span span_of(const OpContext& c) {
  const Span span{c.attr_int("min_gram_length"), c.attr_int("max_gram_length"),
                  c.attr_int("max_skip_count")};
  if (span.least < 1 || span.most < span.least || span.skips < 0) {
    c.fail("expected 1 <= min_gram_length <= max_gram_length and max_skip_count >= 0, found " +
           std::to_string(span.least) + ", " + std::to_string(span.most) + " and " +
           std::to_string(span.skips));
  }
  return span;
}

// One more than the largest column.
std::int64_t columns_of(const OpContext& c) {
  const std::vector<std::int64_t> columns = c.attr_ints("ngram_indexes");
  if (columns.empty()) c.fail("attribute 'ngram_indexes' has no entry");
  const auto [least, most] = std::minmax_element(columns.begin(), columns.end());
  if (*least < 0 || *most >= kMostColumns) {
    c.fail("attribute 'ngram_indexes' has " + std::to_string(*least < 0 ? *least : *most) +
           ", expected 0 to " + std::to_string(kMostColumns - 1));
  }
  return *most + 1;
}

class Vectorizer {
 public:
  explicit Vectorizer(const OpContext& c)
      : mode_(mode_of(c)),
        span_(span_of(c)),
        columns_(columns_of(c)),
        weights_(c.attr_floats("weights")) {
    const std::vector<std::string> texts = c.attr_strings("pool_strings");
    const std::vector<std::int64_t> numbers = c.attr_ints("pool_int64s");
    if (texts.empty() == numbers.empty()) {
      c.fail("exactly one of the attributes 'pool_strings' and 'pool_int64s' must have entries");
    }
    if (c.dtype(0) == DType::kString) {
      if (texts.empty()) c.fail("input 0 is of strings, attribute 'pool_strings' has no entry");
    } else {
      c.expect_dtype(0, {DType::kInt32, DType::kInt64});
      if (numbers.empty()) c.fail("input 0 is of integers, attribute 'pool_int64s' has no entry");
    }
    if (!weights_.empty() && static_cast<std::int64_t>(weights_.size()) < columns_) {
      c.fail("attribute 'weights' has " + std::to_string(weights_.size()) + " entries for " +
             std::to_string(columns_) + " columns");
    }
    std::vector<std::int32_t> pool;
    for (const std::string& text : texts) pool.push_back(numbered(text_tokens_, text));
    for (std::int64_t number : numbers) pool.push_back(numbered(number_tokens_, number));
    add_ngrams(c, pool);
  }

  std::int64_t columns() const { return columns_; }

  // Numbers the tokens [begin, end) of x; -1 for those in no n-gram.
  void number(const void* x, DType dtype, std::int64_t begin, std::int64_t end,
              std::int32_t* tokens) const {
    for (std::int64_t i = begin; i < end; ++i) {
      if (dtype == DType::kString) {
        tokens[i] = token(text_tokens_, static_cast<const std::string*>(x)[i]);
      } else {
        const std::int64_t number = dtype == DType::kInt32 ? static_cast<const std::int32_t*>(x)[i]
                                                           : static_cast<const std::int64_t*>(x)[i];
        tokens[i] = token(number_tokens_, number);
      }
    }
  }

  // Counts in the output itself: memory of its own for each thread could be what runs out.
  void run(const std::int32_t* row, std::int64_t size, float* out) const {
    std::fill_n(out, columns_, 0.0f);
    std::int64_t least = span_.least;
    const std::int64_t skips = std::min(span_.skips, std::max<std::int64_t>(1, size) - 1);
    for (std::int64_t step = 1; step <= skips + 1; ++step) {
      for (std::int64_t start = 0; start < size; ++start) count(row, size, start, step, least, out);
      // Single items are the same at every distance: they count once.
      if (least == 1 && ++least > span_.most) break;
    }
    if (mode_ == Mode::kTf) return;
    for (std::int64_t i = 0; i < columns_; ++i) {
      const float weight = weights_.empty() ? 1.0f : weights_[static_cast<std::size_t>(i)];
      out[i] = mode_ == Mode::kTfIdf ? out[i] * weight : out[i] > 0 ? weight : 0.0f;
    }
  }

 private:
  struct Place {
    std::int32_t node, token;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& p) const {
      return std::hash<std::uint64_t>()(
          static_cast<std::uint64_t>(static_cast<std::uint32_t>(p.node)) << 32 |
          static_cast<std::uint32_t>(p.token));
    }
  };

  template <class Map, class Key>
  static std::int32_t numbered(Map& map, const Key& key) {
    return map.emplace(key, static_cast<std::int32_t>(map.size())).first->second;
  }
  template <class Map, class Key>
  static std::int32_t token(const Map& map, const Key& key) {
    const auto it = map.find(key);
    return it == map.end() ? -1 : it->second;
  }

  void add_ngrams(const OpContext& c, const std::vector<std::int32_t>& pool) {
    const std::vector<std::int64_t> starts = c.attr_ints("ngram_counts");
    const std::vector<std::int64_t> targets = c.attr_ints("ngram_indexes");
    const auto total = static_cast<std::int64_t>(pool.size());
    std::size_t ngram = 0;
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto length = static_cast<std::int64_t>(i) + 1;
      const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : total;
      if (starts[i] < 0 || starts[i] > end || end > total || (end - starts[i]) % length != 0) {
        c.fail("attribute 'ngram_counts' cuts a pool of " + std::to_string(total) + " items at " +
               std::to_string(starts[i]) + " and " + std::to_string(end) + ", expected whole " +
               std::to_string(length) + "-grams in order");
      }
      for (std::int64_t at = starts[i]; at < end; at += length, ++ngram) {
        if (ngram >= targets.size()) {
          c.fail("attribute 'ngram_indexes' has " + std::to_string(targets.size()) +
                 " entries, fewer than there are n-grams");
        }
        if (length >= span_.least && length <= span_.most) {
          add(pool.data() + at, length, targets[ngram]);
        }
      }
    }
  }

  void add(const std::int32_t* items, std::int64_t length, std::int64_t column) {
    std::int32_t node = 0;
    for (std::int64_t i = 0; i < length; ++i) {
      const auto fresh = static_cast<std::int32_t>(ends_.size());
      const auto [it, added] = trie_.emplace(Place{node, items[i]}, fresh);
      if (added) ends_.push_back(-1);
      node = it->second;
    }
    ends_[static_cast<std::size_t>(node)] = column;
  }

  // Counts the n-grams whose items lie `step` apart from `start` on.
  void count(const std::int32_t* row, std::int64_t size, std::int64_t start, std::int64_t step,
             std::int64_t least, float* out) const {
    std::int32_t node = 0;
    std::int64_t length = 1;
    for (std::int64_t at = start; at < size && length <= span_.most; at += step, ++length) {
      const auto it = trie_.find({node, row[at]});
      if (it == trie_.end()) return;
      node = it->second;
      const std::int64_t column = ends_[static_cast<std::size_t>(node)];
      if (length >= least && column >= 0) out[column] += 1.0f;
    }
  }

  Mode mode_;
  Span span_;
  std::int64_t columns_;
  std::vector<float> weights_;
  std::unordered_map<std::string, std::int32_t> text_tokens_;
  std::unordered_map<std::int64_t, std::int32_t> number_tokens_;
  std::unordered_map<Place, std::int32_t, PlaceHash> trie_;
  std::vector<std::int64_t> ends_{-1};  // of each node: the column of the n-gram that ends there
};

void infer_vectorizer(InferContext& c) {
  const Shape& shape = c.shape(0);
  c.expect_rank(0, 0, 2);
  Shape out{columns_of(c)};
  if (shape.rank() == 2) out = Shape{shape[0], columns_of(c)};
  c.set_output(0, DType::kFloat32, std::move(out));
}

Step lower_vectorizer(LowerContext& c) {
  const Shape& shape = c.shape(0);
  const std::int64_t rows = shape.rank() == 2 ? shape[0] : 1;
  const std::int64_t width = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  Step step;
  step.algorithm = "trie";
  step.run = [vectorizer = std::make_shared<const Vectorizer>(c), dtype = c.dtype(0), rows,
              width](const RunContext& run) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(rows * width));
    parallel_for(run.threads, rows, 8, [&](std::int64_t begin, std::int64_t end) {
      vectorizer->number(run.in<void>(0), dtype, begin * width, end * width, tokens.data());
      for (std::int64_t row = begin; row < end; ++row) {
        vectorizer->run(tokens.data() + row * width, width,
                        run.out<float>(0) + row * vectorizer->columns());
      }
    });
  };
  return step;
}

constexpr AttrDef kAttrs[] = {
    {.name = "mode", .type = AttrType::kString, .doc = "TF, IDF or TFIDF", .required = true},
    {.name = "min_gram_length",
     .type = AttrType::kInt,
     .doc = "least items of an n-gram",
     .required = true},
    {.name = "max_gram_length", .type = AttrType::kInt, .doc = "most items", .required = true},
    {.name = "max_skip_count",
     .type = AttrType::kInt,
     .doc = "most items skipped between two",
     .required = true},
    {.name = "ngram_counts",
     .type = AttrType::kInts,
     .doc = "where 1-grams, 2-grams, ... begin in the pool",
     .required = true},
    {.name = "ngram_indexes",
     .type = AttrType::kInts,
     .doc = "column of each n-gram",
     .required = true},
    {.name = "pool_strings", .type = AttrType::kStrings, .doc = "items of the n-grams, or"},
    {.name = "pool_int64s", .type = AttrType::kInts, .doc = "items as integers"},
    {.name = "weights", .type = AttrType::kFloats, .doc = "of the columns; 1 if absent"},
};

constexpr OpDef kOps[] = {
    {.name = "TfIdfVectorizer",
     .doc = "Counts of n-grams in each row, weighted.",
     .attributes = kAttrs,
     .infer = infer_vectorizer,
     .lower = lower_vectorizer},
};

}  // namespace

extern const OpTable tfidf_ops;
const OpTable tfidf_ops = {kOps};

}  // namespace lanewise
