// The computation of com.microsoft:GroupQueryAttention: caches are read and joined with new rows,
// queries and keys normalised and turned, attention.h does the rest.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/attention.h"
#include "engine/kernels/attention/attention.h"
#include "engine/ops/grouped_attention.h"
#include "engine/ops/small_types.h"

namespace lanewise::gqa {
namespace {

// What the samples of a batch have, each.
struct Samples {
  std::int64_t* lengths;    // rows of keys, old and new
  std::int64_t* firsts;     // of them old; the new ones follow
  std::int64_t* positions;  // of the first new token
};

class GqaStep {
 public:
  explicit GqaStep(const LowerContext& c);

  std::int64_t scratch_elements() const { return scratch_; }
  void run(const RunContext& run) const;

 private:
  AttentionProblem problem(const LowerContext& c) const;
  void count(const RunContext& run, const Samples& samples) const;
  std::int64_t position(const RunContext& run, const Samples& samples, std::int64_t batch,
                        std::int64_t token) const;
  void turn(const RunContext& run, int norm, std::int64_t position, const float* x, float* y) const;
  void fill_cache(const RunContext& run, bool keys, const float* fresh, const Samples& samples,
                  float* to) const;
  void store_cache(const RunContext& run, bool keys, const Samples& samples,
                   const float* from) const;
  void turn_queries(const RunContext& run, const Samples& samples, float* to) const;
  void shift_added(const RunContext& run, const Samples& samples, float* to) const;
  void clear_unseen(const RunContext& run, const Samples& samples) const;
  bool changes_rows() const { return g_.half > 0 || normalises_; }

  Grouped g_;
  std::string where_;
  const kernels::RowLoops* loops_;
  bool interleaved_, normalises_;
  double epsilon_;
  std::int64_t left_ = -1, right_ = -1;  // of the window, as in AttentionProblem
  bool clears_ = false;
  Shape added_;
  // Places in scratch memory, where one is needed.
  std::int64_t counts_at_ = 0, keys_at_ = -1, values_at_ = -1, turned_at_ = -1, added_at_ = -1;
  std::int64_t work_at_ = 0, scratch_ = 0;
  std::shared_ptr<const Attention<float>> attention_;
};

GqaStep::GqaStep(const LowerContext& c)
    : g_(grouped_of(c, total_of(c, *c.content(kTotal)))),
      where_(c.where()),
      loops_(&kernels::row_loops(c.isa())),
      interleaved_(c.attr_int("rotary_interleaved") != 0),
      normalises_(c.has_input(kQueryNorm)),
      epsilon_(static_cast<double>(c.attr_float("qk_norm_epsilon"))) {
  const HeadShapes& s = g_.shapes;
  const auto take = [this](std::int64_t n) {
    const std::int64_t at = scratch_;
    scratch_ += (n + 15) / 16 * 16;
    return at;
  };
  counts_at_ = take(6 * s.batches);  // three int64 for each
  const std::int64_t cache = checked_multiply(s.batches, s.k.batch);
  if (!g_.direct() || !c.has_output(kPresentKey)) keys_at_ = take(cache);
  if (!g_.direct() || !c.has_output(kPresentValue)) values_at_ = take(cache);
  if (changes_rows()) turned_at_ = take(checked_multiply(s.batches, s.y.batch));
  if (c.attr_int("causal") != 0) right_ = 0;
  // The window counts the query's own position.
  if (c.attr_int("local_window_size") > 0) left_ = c.attr_int("local_window_size") - 1;
  if (c.has_input(kAdded)) {
    added_ = c.shape(kAdded);
    if (g_.window > 0) {
      const std::int64_t rows = checked_multiply(s.batches * added_[1], s.queries);
      added_at_ = take(checked_multiply(rows, s.keys));
    }
  }
  if (c.out_shape(kY).elements() == 0) return;
  const AttentionProblem p = problem(c);
  clears_ = p.show == ScoreOutput::kMasked;
  attention_ = std::make_shared<const Attention<float>>(p, c.isa(), c.threads());
  work_at_ = take(attention_->scratch_elements());
}

AttentionProblem GqaStep::problem(const LowerContext& c) const {
  AttentionProblem p;
  p.shapes = g_.shapes;
  if (changes_rows()) p.shapes.q = p.shapes.y;
  p.softcap = static_cast<double>(c.attr_float("softcap"));
  p.left = left_;
  p.right = right_;
  p.has_lengths = p.has_positions = true;
  p.sinks = c.attr_int("smooth_softmax") > 0 || c.has_input(kSink);
  if (c.has_output(kScores))
    p.show = c.attr_int("qk_output") == 1 ? ScoreOutput::kMasked : ScoreOutput::kWeights;
  if (added_.rank() == 0) return p;
  p.mask = AttentionProblem::Mask::kAdd;
  p.mask_keys = p.shapes.keys;
  Shape shape = added_;
  if (added_at_ >= 0) shape = Shape{p.shapes.batches, added_[1], added_[2], p.shapes.keys};
  const std::vector<std::int64_t> strides = shape.strides();
  p.mask_strides = {shape[0] == 1 ? 0 : strides[0], shape[1] == 1 ? 0 : strides[1], strides[2]};
  return p;
}

void GqaStep::run(const RunContext& run) const {
  const HeadShapes& s = g_.shapes;
  auto* const scratch = reinterpret_cast<float*>(run.scratch);
  auto* const counts = reinterpret_cast<std::int64_t*>(scratch + counts_at_);
  const Samples samples{counts, counts + s.batches, counts + 2 * s.batches};
  count(run, samples);
  const float* const q = run.in<float>(kQ);
  float* const keys = keys_at_ < 0 ? run.out<float>(kPresentKey) : scratch + keys_at_;
  float* const values = values_at_ < 0 ? run.out<float>(kPresentValue) : scratch + values_at_;
  fill_cache(run, true, g_.packed ? q + g_.k_offset : run.in<float>(kK), samples, keys);
  fill_cache(run, false, g_.packed ? q + g_.v_offset : run.in<float>(kV), samples, values);
  if (!g_.direct()) {
    if (run.has_out(kPresentKey)) store_cache(run, true, samples, keys);
    if (run.has_out(kPresentValue)) store_cache(run, false, samples, values);
  }
  if (attention_ == nullptr) return;
  AttentionArrays<float> given;
  given.q = q;
  if (turned_at_ >= 0) {
    turn_queries(run, samples, scratch + turned_at_);
    given.q = scratch + turned_at_;
  }
  given.k = keys;
  given.v = values;
  given.mask = run.has_in(kAdded) ? run.in<float>(kAdded) : nullptr;
  if (added_at_ >= 0) {
    shift_added(run, samples, scratch + added_at_);
    given.mask = scratch + added_at_;
  }
  given.lengths = samples.lengths;
  given.positions = samples.firsts;
  given.sinks = run.has_in(kSink) ? run.in<float>(kSink) : nullptr;
  given.y = run.out<float>(kY);
  given.shown = run.has_out(kScores) ? run.out<float>(kScores) : nullptr;
  attention_->run(given, scratch + work_at_, run.threads);
  if (clears_) clear_unseen(run, samples);
}

void GqaStep::count(const RunContext& run, const Samples& samples) const {
  const HeadShapes& s = g_.shapes;
  for (std::int64_t b = 0; b < s.batches; ++b) {
    const std::int64_t tokens = std::int64_t{run.in<std::int32_t>(kLengths)[b]} + 1;
    const std::int64_t before = g_.prompt ? 0 : tokens - s.queries;
    const bool fits = g_.window > 0 || g_.prompt || before <= g_.past;
    if (tokens < 1 || tokens > g_.total || before < 0 || !fits) {
      throw ModelError(where_ + "seqlens_k has " + std::to_string(tokens - 1) + " for sample " +
                       std::to_string(b) +
                       ", which fits neither the rows given nor total_sequence_length " +
                       std::to_string(g_.total));
    }
    samples.positions[b] = before;
    samples.firsts[b] = g_.window > 0 ? g_.resident(before) : before;
    samples.lengths[b] = samples.firsts[b] + tokens - before;
  }
  for (std::int64_t i = 0; g_.half > 0 && i < s.batches * s.queries; ++i) {
    const std::int64_t at = position(run, samples, i / s.queries, i % s.queries);
    if (at < 0 || at >= g_.angles) {
      throw ModelError(where_ + "position " + std::to_string(at) + " is outside cos_cache of " +
                       std::to_string(g_.angles) + " rows");
    }
  }
}

// Where a token stands, for its rotation.
std::int64_t GqaStep::position(const RunContext& run, const Samples& samples, std::int64_t batch,
                               std::int64_t token) const {
  if (!run.has_in(kPositions)) return samples.positions[batch] + token;
  const auto* const given = run.in<std::int64_t>(kPositions);
  return g_.prompt ? given[0] + token : given[batch * g_.shapes.queries + token];
}

// A row of a head, divided by its root mean square and turned where either is asked for.
void GqaStep::turn(const RunContext& run, int norm, std::int64_t position, const float* x,
                   float* y) const {
  const std::int64_t n = g_.shapes.head;
  if (normalises_) {
    double squares = 0.0;
    for (std::int64_t i = 0; i < n; ++i)
      squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const auto inverse =
        static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(n) + epsilon_));
    for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * inverse * run.in<float>(norm)[i];
    x = y;
  }
  if (g_.half > 0) {
    const float* const cosine = run.in<float>(kCos) + position * g_.half;
    const float* const sine = run.in<float>(kSin) + position * g_.half;
    (interleaved_ ? loops_->turn_neighbours : loops_->turn_halves)(x, cosine, sine, y, g_.half);
  }
  if (x != y) std::copy(x + 2 * g_.half, x + n, y + 2 * g_.half);
}

// The rows of a cache, then the new ones; what a code makes of these is what attention reads.
void GqaStep::fill_cache(const RunContext& run, bool keys, const float* fresh,
                         const Samples& samples, float* to) const {
  const HeadShapes& s = g_.shapes;
  const int past = keys ? kPastKey : kPastValue;
  const CacheCode& code = keys ? g_.key_code : g_.value_code;
  const HeadRows& rows = keys ? g_.fresh_k : g_.fresh_v;
  const bool changes = keys && changes_rows();
  parallel_for(run.threads, s.pairs(), 1, [&](std::int64_t pair, std::int64_t end) {
    std::vector<std::uint8_t> codes(
        static_cast<std::size_t>(code.quantised() ? code.entries(s.head) : 0));
    for (; pair < end; ++pair) {
      const std::int64_t b = pair / s.kv_heads, head = pair % s.kv_heads;
      const float* scales =
          code.quantised() ? run.in<float>(keys ? kKeyScale : kValueScale) : nullptr;
      if (code.per_channel) scales += head * s.head;
      float* at = to + pair * s.k.head;
      float* const last = at + s.k.head;
      const std::int64_t old = pair * g_.past * code.entries(s.head);
      for (std::int64_t i = 0; i < samples.firsts[b] && run.has_in(past); ++i, at += s.head) {
        const std::int64_t row = old + i * code.entries(s.head);
        if (code.quantised())
          code.decode(run.in<std::uint8_t>(past) + row, scales, s.head, at);
        else
          std::copy_n(run.in<float>(past) + row, s.head, at);
      }
      const float* from = fresh + b * rows.batch + head * rows.head;
      for (std::int64_t i = 0; i < s.queries; ++i, from += rows.row, at += s.head) {
        if (changes)
          turn(run, kKeyNorm, position(run, samples, b, i), from, at);
        else
          std::copy_n(from, s.head, at);
        if (!code.quantised()) continue;
        code.encode(at, scales, s.head, codes.data());
        code.decode(codes.data(), scales, s.head, at);
      }
      std::fill(at, last, 0.0f);
    }
  });
}

// The cache to give on: the last rows that it keeps, as codes where it has them.
void GqaStep::store_cache(const RunContext& run, bool keys, const Samples& samples,
                          const float* from) const {
  const HeadShapes& s = g_.shapes;
  const CacheCode& code = keys ? g_.key_code : g_.value_code;
  const int output = keys ? kPresentKey : kPresentValue;
  const std::int64_t row = code.entries(s.head);
  const auto width = static_cast<std::int64_t>(dtype_size(code.dtype));
  parallel_for(run.threads, s.pairs(), 1, [&](std::int64_t pair, std::int64_t end) {
    for (; pair < end; ++pair) {
      const std::int64_t b = pair / s.kv_heads, head = pair % s.kv_heads;
      const float* scales =
          code.quantised() ? run.in<float>(keys ? kKeyScale : kValueScale) : nullptr;
      if (code.per_channel) scales += head * s.head;
      const std::int64_t tokens = samples.positions[b] + samples.lengths[b] - samples.firsts[b];
      const std::int64_t kept = g_.window > 0 ? g_.resident(tokens) : samples.lengths[b];
      const float* rows = from + pair * s.k.head + (samples.lengths[b] - kept) * s.head;
      std::byte* const to = run.out<std::byte>(output) + pair * g_.rows * row * width;
      for (std::int64_t i = 0; i < kept; ++i, rows += s.head) {
        std::byte* const at = to + i * row * width;
        if (code.quantised())
          code.encode(rows, scales, s.head, reinterpret_cast<std::uint8_t*>(at));
        else
          std::copy_n(rows, s.head, reinterpret_cast<float*>(at));
      }
      std::fill(to + kept * row * width, to + g_.rows * row * width, std::byte{0});
    }
  });
}

void GqaStep::turn_queries(const RunContext& run, const Samples& samples, float* to) const {
  const HeadShapes& s = g_.shapes;
  parallel_for(run.threads, s.batches * s.queries, 8, [&](std::int64_t row, std::int64_t end) {
    for (; row < end; ++row) {
      const std::int64_t at = position(run, samples, row / s.queries, row % s.queries);
      for (std::int64_t h = 0; h < s.q_heads; ++h) {
        turn(run, kQueryNorm, at, run.in<float>(kQ) + row * s.q.row + h * s.head,
             to + row * s.y.row + h * s.head);
      }
    }
  });
}

// The bias has a column for each token, a windowed cache rows for the last ones alone.
void GqaStep::shift_added(const RunContext& run, const Samples& samples, float* to) const {
  const HeadShapes& s = g_.shapes;
  const std::int64_t rows = added_[1] * added_[2];
  for (std::int64_t i = 0; i < s.batches * rows; ++i, to += s.keys) {
    const std::int64_t b = i / rows, gone = samples.positions[b] - samples.firsts[b];
    const float* from =
        run.in<float>(kAdded) + ((added_[0] == 1 ? 0 : b) * rows + i % rows) * added_[3];
    const std::int64_t n = std::clamp<std::int64_t>(added_[3] - gone, 0, s.keys);
    std::copy_n(from + gone, n, to);
    std::fill(to + n, to + s.keys, 0.0f);
  }
}

// Scores that no query sees are given as zero.
void GqaStep::clear_unseen(const RunContext& run, const Samples& samples) const {
  const HeadShapes& s = g_.shapes;
  float* row = run.out<float>(kScores);
  for (std::int64_t i = 0; i < s.batches * s.q_heads * s.queries; ++i, row += s.keys) {
    const std::int64_t b = i / (s.q_heads * s.queries);
    const std::int64_t at = samples.firsts[b] + i % s.queries;
    const std::int64_t end = right_ < 0 ? samples.lengths[b] : std::min(samples.lengths[b], at + 1);
    const std::int64_t begin = left_ < 0 ? 0 : std::clamp<std::int64_t>(at - left_, 0, end);
    std::fill(row, row + begin, 0.0f);
    std::fill(row + end, row + s.keys, 0.0f);
  }
}

std::uint8_t encoded(const CacheCode& code, float x) {
  if (code.dtype == DType::kFloat8E4M3FN) return encode_small(code.dtype, x, {});
  const float limit = code.bits == 4 ? 8.0f : 128.0f;
  const float whole = std::nearbyint(x);
  const int value = static_cast<int>(std::clamp(whole == whole ? whole : 0.0f, -limit, limit - 1));
  return static_cast<std::uint8_t>(code.bits == 4 ? value + 8 : value);
}

}  // namespace

void CacheCode::decode(const std::uint8_t* codes, const float* scales, std::int64_t n,
                       float* row) const {
  for (std::int64_t i = 0; i < n; ++i) {
    float value = 0.0f;
    if (bits == 4)
      value = static_cast<float>(((codes[i / 2] >> (i % 2 * 4)) & 15) - 8);
    else if (dtype == DType::kFloat8E4M3FN)
      value = decode_small(dtype, codes[i]);
    else
      value = static_cast<float>(static_cast<std::int8_t>(codes[i]));
    row[i] = value * scales[per_channel ? i : 0];
  }
}

void CacheCode::encode(const float* row, const float* scales, std::int64_t n,
                       std::uint8_t* codes) const {
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint8_t value = encoded(*this, row[i] / scales[per_channel ? i : 0]);
    if (bits != 4)
      codes[i] = value;
    else if (i % 2 == 0)
      codes[i / 2] = value;
    else
      codes[i / 2] = static_cast<std::uint8_t>(codes[i / 2] | (value << 4));
  }
}

Step lower_gqa(LowerContext& c) {
  auto made = std::make_shared<const GqaStep>(c);
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(made->scratch_elements(), 4));
  step.algorithm = "gemm, row blocks";
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

}  // namespace lanewise::gqa
