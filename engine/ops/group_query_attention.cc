// com.microsoft:GroupQueryAttention: a step of a decoder with grouped heads, its rotary embedding
// and its cache. Samples of a batch may have caches of different lengths.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/attention.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention/attention.h"

namespace lanewise {
namespace {

enum Input { kQ, kK, kV, kPastKey, kPastValue, kLengths, kTotal, kCos, kSin, kPositions, kAdded };

struct Grouped {
  HeadShapes shapes;  // queries and keys of the whole cache; k and v are the cache's
  HeadRows fresh_k, fresh_v;
  std::int64_t k_offset = 0, v_offset = 0;  // in packed inputs
  std::int64_t past = 0, rows = 0;          // of the caches given and made
  std::int64_t half = 0, angles = 0;        // pairs that turn, rows of their tables
  bool packed = false, prompt = false;
};

void expect_shape(const OpContext& c, int i, const Shape& wanted) {
  if (c.shape(i) == wanted) return;
  c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + ", found " +
         c.shape(i).str());
}

void read_heads(const OpContext& c, Grouped& g) {
  HeadShapes& s = g.shapes;
  s.q_heads = c.attr_int("num_heads");
  s.kv_heads = c.attr_int("kv_num_heads");
  constexpr std::int64_t kMost = 1 << 24;
  const bool sane = s.kv_heads > 0 && s.q_heads > 0 && s.q_heads < kMost;
  if (!sane || s.q_heads % s.kv_heads != 0) {
    c.fail("attributes 'num_heads' and 'kv_num_heads' are " + std::to_string(s.q_heads) + " and " +
           std::to_string(s.kv_heads) +
           ", expected positive numbers, the first a multiple of the second");
  }
  c.expect_rank(kQ, 3, 3);
  const Shape& q = c.shape(kQ);
  s.batches = q[0];
  s.queries = q[1];
  g.packed = !c.has_input(kK);
  if (g.packed == c.has_input(kV)) c.fail("key and value must be given, or left out, together");
  const std::int64_t heads = s.q_heads + (g.packed ? 2 * s.kv_heads : 0);
  if (q[2] % heads != 0) {
    c.fail("input 0 of shape " + q.str() + " does not divide into " + std::to_string(heads) +
           " heads");
  }
  s.head = s.v_head = q[2] / heads;
  s.q = {checked_multiply(s.queries, q[2]), s.head, q[2]};
  const std::int64_t row = g.packed ? q[2] : checked_multiply(s.kv_heads, s.head);
  g.fresh_k = g.fresh_v = {checked_multiply(s.queries, row), s.head, row};
  if (g.packed) {
    g.k_offset = s.q_heads * s.head;
    g.v_offset = g.k_offset + s.kv_heads * s.head;
  } else {
    for (int i : {kK, kV}) expect_shape(c, i, Shape{s.batches, s.queries, row});
  }
  const std::int64_t out = checked_multiply(s.q_heads, s.head);
  s.y = {checked_multiply(s.queries, out), s.head, out};
}

Grouped grouped_of(const OpContext& c, std::int64_t total) {
  Grouped g;
  read_heads(c, g);
  HeadShapes& s = g.shapes;
  if (c.has_input(kPastKey) != c.has_input(kPastValue))
    c.fail("past_key and past_value must be given together");
  if (c.has_input(kPastKey)) {
    c.expect_rank(kPastKey, 4, 4);
    g.past = c.shape(kPastKey)[2];
    for (int i : {kPastKey, kPastValue})
      expect_shape(c, i, Shape{s.batches, s.kv_heads, g.past, s.head});
  }
  if (total < s.queries) {
    c.fail("total_sequence_length is " + std::to_string(total) + ", expected at least the " +
           std::to_string(s.queries) + " rows of the query");
  }
  g.prompt = total == s.queries;
  g.rows = std::max(g.past, total);
  s.keys = total;
  const std::int64_t head = checked_multiply(g.rows, s.head);
  s.k = s.v = {checked_multiply(s.kv_heads, head), head, s.head};
  checked_multiply(checked_multiply(s.batches, s.q_heads), checked_multiply(s.queries, s.keys));
  const float scale = c.attr_float("scale");
  const double size = static_cast<double>(std::max<std::int64_t>(1, s.head));
  s.scale = scale != 0.0f ? static_cast<double>(scale) : 1.0 / std::sqrt(size);
  if (c.attr_int("do_rotary") == 0) return g;
  for (int i : {kCos, kSin}) {
    if (!c.has_input(i)) c.fail("do_rotary = 1 needs cos_cache and sin_cache");
    c.expect_rank(i, 2, 2);
  }
  expect_shape(c, kSin, c.shape(kCos));
  g.angles = c.shape(kCos)[0];
  g.half = c.shape(kCos)[1];
  if (2 * g.half > s.head) c.fail("cos_cache turns more elements than a head has");
  return g;
}

std::int64_t total_of(const OpContext& c, const Tensor& tensor) {
  if (tensor.dtype() != DType::kInt32 || tensor.elements() != 1)
    c.fail("total_sequence_length must be one int32, found shape " + tensor.shape().str());
  return *tensor.as<std::int32_t>();
}

void infer_gqa(InferContext& c) {
  c.expect_dtype(kQ, {DType::kFloat32});
  for (int i : {kK, kV, kPastKey, kPastValue, kCos, kSin, kAdded}) {
    if (c.has_input(i)) c.expect_same_dtype(kQ, i);
  }
  if (!c.has_input(kLengths) || !c.has_input(kTotal))
    c.fail("seqlens_k and total_sequence_length are required");
  c.expect_dtype(kLengths, {DType::kInt32});
  const Grouped g = grouped_of(c, total_of(c, c.need(kTotal)));
  const HeadShapes& s = g.shapes;
  if (c.shape(kLengths).elements() != s.batches) expect_shape(c, kLengths, Shape{s.batches});
  if (c.has_input(kPositions)) {
    c.expect_dtype(kPositions, {DType::kInt64});
    expect_shape(c, kPositions, Shape{s.batches, s.queries});
  }
  if (c.has_input(kAdded)) {
    c.expect_rank(kAdded, 4, 4);
    const Shape& added = c.shape(kAdded);
    expect_shape(
        c, kAdded,
        Shape{added[0] == 1 ? 1 : s.batches, added[1] == 1 ? 1 : s.q_heads, s.queries, s.keys});
  }
  for (std::string_view name : {"smooth_softmax", "sliding_window_cache", "qk_output"}) {
    if (c.attr_int(name) != 0 && c.attr_int(name) != -1)
      c.unsupported("attribute '" + std::string(name) + "' other than 0");
  }
  for (int i = kAdded + 1; i < 16; ++i) {
    if (c.has_input(i)) c.unsupported("input " + std::to_string(i));
  }
  for (std::string_view name : {"k_quant_type", "v_quant_type"}) {
    if (c.attr_string(name) != "NONE") c.unsupported("a quantised cache");
  }
  const Shape cache{s.batches, s.kv_heads, g.rows, s.head};
  c.set_output(0, DType::kFloat32, Shape{s.batches, s.queries, s.q_heads * s.head});
  c.set_output(1, DType::kFloat32, cache);
  c.set_output(2, DType::kFloat32, cache);
}

class GqaStep {
 public:
  explicit GqaStep(const LowerContext& c)
      : g_(grouped_of(c, total_of(c, *c.content(kTotal)))),
        where_(c.where()),
        loops_(&kernels::row_loops(c.isa())),
        interleaved_(c.attr_int("rotary_interleaved") != 0) {
    const HeadShapes& s = g_.shapes;
    const auto take = [this](std::int64_t n) {
      const std::int64_t at = scratch_;
      scratch_ += (n + 15) / 16 * 16;
      return at;
    };
    counts_at_ = take(4 * s.batches);  // two int64 for each
    const std::int64_t cache = s.batches * s.k.batch;
    if (!c.has_output(1)) keys_at_ = take(cache);
    if (!c.has_output(2)) values_at_ = take(cache);
    AttentionProblem p;
    p.shapes = s;
    if (g_.half > 0) {
      turned_at_ = take(checked_multiply(s.batches, s.y.batch));
      p.shapes.q = s.y;
    }
    p.softcap = static_cast<double>(c.attr_float("softcap"));
    if (c.attr_int("causal") != 0) p.right = 0;
    // The window counts the query's own position.
    const std::int64_t window = c.attr_int("local_window_size");
    if (window > 0) p.left = window - 1;
    p.has_lengths = p.has_positions = true;
    if (c.has_input(kAdded)) {
      const Shape& added = c.shape(kAdded);
      p.mask = AttentionProblem::Mask::kAdd;
      p.mask_keys = s.keys;
      const std::vector<std::int64_t> strides = added.strides();
      p.mask_strides = {added[0] == 1 ? 0 : strides[0], added[1] == 1 ? 0 : strides[1], strides[2]};
    }
    if (c.out_shape(0).elements() == 0) return;
    attention_ = std::make_shared<const Attention<float>>(p, c.isa(), c.threads());
    work_at_ = take(attention_->scratch_elements());
  }

  std::int64_t scratch_elements() const { return scratch_; }

  void run(const RunContext& run) const {
    const HeadShapes& s = g_.shapes;
    auto* const scratch = reinterpret_cast<float*>(run.scratch);
    auto* const lengths = reinterpret_cast<std::int64_t*>(scratch + counts_at_);
    std::int64_t* const begins = lengths + s.batches;
    count(run, lengths, begins);
    const float* const q = run.in<float>(kQ);
    const float* const k = g_.packed ? q + g_.k_offset : run.in<float>(kK);
    const float* const v = g_.packed ? q + g_.v_offset : run.in<float>(kV);
    float* const keys = keys_at_ < 0 ? run.out<float>(1) : scratch + keys_at_;
    float* const values = values_at_ < 0 ? run.out<float>(2) : scratch + values_at_;
    fill_cache(run, kPastKey, k, g_.fresh_k, begins, g_.half > 0, keys);
    fill_cache(run, kPastValue, v, g_.fresh_v, begins, false, values);
    if (attention_ == nullptr) return;
    AttentionArrays<float> given;
    given.q = q;
    if (turned_at_ >= 0) {
      turn_queries(run, begins, scratch + turned_at_);
      given.q = scratch + turned_at_;
    }
    given.k = keys;
    given.v = values;
    given.mask = run.has_in(kAdded) ? run.in<float>(kAdded) : nullptr;
    given.lengths = lengths;
    given.positions = begins;
    given.y = run.out<float>(0);
    attention_->run(given, scratch + work_at_, run.threads);
  }

 private:
  // The keys of each sample, and how many of them its cache already has.
  void count(const RunContext& run, std::int64_t* lengths, std::int64_t* begins) const {
    const HeadShapes& s = g_.shapes;
    for (std::int64_t b = 0; b < s.batches; ++b) {
      lengths[b] = std::int64_t{run.in<std::int32_t>(kLengths)[b]} + 1;
      begins[b] = g_.prompt ? 0 : lengths[b] - s.queries;
      if (lengths[b] >= 1 && lengths[b] <= s.keys && begins[b] >= 0 && begins[b] <= g_.past)
        continue;
      if (g_.prompt && lengths[b] >= 1 && lengths[b] <= s.keys) continue;
      throw ModelError(where_ + "seqlens_k has " + std::to_string(lengths[b] - 1) + " for sample " +
                       std::to_string(b) +
                       ", which fits neither the rows given nor total_sequence_length " +
                       std::to_string(s.keys));
    }
    for (std::int64_t i = 0; g_.half > 0 && i < s.batches * s.queries; ++i) {
      const std::int64_t at = position(run, begins, i / s.queries, i % s.queries);
      if (at < 0 || at >= g_.angles) {
        throw ModelError(where_ + "position " + std::to_string(at) + " is outside cos_cache of " +
                         std::to_string(g_.angles) + " rows");
      }
    }
  }

  // Where a token stands, for its rotation.
  std::int64_t position(const RunContext& run, const std::int64_t* begins, std::int64_t batch,
                        std::int64_t token) const {
    if (!run.has_in(kPositions)) return begins[batch] + token;
    const auto* const given = run.in<std::int64_t>(kPositions);
    return g_.prompt ? given[0] + token : given[batch * g_.shapes.queries + token];
  }

  void turn(const RunContext& run, std::int64_t position, const float* x, float* y) const {
    const float* const cosine = run.in<float>(kCos) + position * g_.half;
    const float* const sine = run.in<float>(kSin) + position * g_.half;
    (interleaved_ ? loops_->turn_neighbours : loops_->turn_halves)(x, cosine, sine, y, g_.half);
    std::copy(x + 2 * g_.half, x + g_.shapes.head, y + 2 * g_.half);
  }

  void fill_cache(const RunContext& run, int past, const float* fresh, const HeadRows& rows,
                  const std::int64_t* begins, bool turns, float* to) const {
    const HeadShapes& s = g_.shapes;
    const float* const old = run.has_in(past) ? run.in<float>(past) : nullptr;
    parallel_for(run.threads, s.pairs(), 1, [&](std::int64_t pair, std::int64_t end) {
      for (; pair < end; ++pair) {
        const std::int64_t b = pair / s.kv_heads, first = begins[b] * s.head;
        float* const cache = to + pair * s.k.head;
        if (old != nullptr) std::copy_n(old + pair * g_.past * s.head, first, cache);
        const float* from = fresh + b * rows.batch + pair % s.kv_heads * rows.head;
        float* at = cache + first;
        for (std::int64_t i = 0; i < s.queries; ++i, from += rows.row, at += s.head) {
          if (turns) {
            turn(run, position(run, begins, b, i), from, at);
          } else {
            std::copy_n(from, s.head, at);
          }
        }
        std::fill(at, cache + s.k.head, 0.0f);
      }
    });
  }

  void turn_queries(const RunContext& run, const std::int64_t* begins, float* to) const {
    const HeadShapes& s = g_.shapes;
    parallel_for(run.threads, s.batches * s.queries, 8, [&](std::int64_t row, std::int64_t end) {
      for (; row < end; ++row) {
        const std::int64_t at = position(run, begins, row / s.queries, row % s.queries);
        for (std::int64_t h = 0; h < s.q_heads; ++h) {
          turn(run, at, run.in<float>(kQ) + row * s.q.row + h * s.head,
               to + row * s.y.row + h * s.head);
        }
      }
    });
  }

  Grouped g_;
  std::string where_;
  const kernels::RowLoops* loops_;
  bool interleaved_;
  // Places in scratch memory, where one is needed.
  std::int64_t counts_at_ = 0, keys_at_ = -1, values_at_ = -1, turned_at_ = -1, work_at_ = 0;
  std::int64_t scratch_ = 0;
  std::shared_ptr<const Attention<float>> attention_;
};

Step lower_gqa(LowerContext& c) {
  auto made = std::make_shared<const GqaStep>(c);
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(made->scratch_elements(), 4));
  step.algorithm = "gemm, row blocks";
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

double gqa_flops(const OpContext& c, std::span<const ValueInfo>) {
  const Tensor* total = c.content(kTotal);
  return total == nullptr ? 0.0 : grouped_of(c, total_of(c, *total)).shapes.flops();
}

constexpr AttrDef int_attr(std::string_view name, std::int64_t value, std::string_view doc) {
  return {.name = name, .type = AttrType::kInt, .doc = doc, .int_default = value};
}
constexpr AttrDef text_attr(std::string_view name, std::string_view value, std::string_view doc) {
  return {.name = name, .type = AttrType::kString, .doc = doc, .string_default = value};
}
constexpr AttrDef kAttrs[] = {
    int_attr("causal", 1, "1: no query sees a key after it"),
    int_attr("do_rotary", 0, "1: queries and keys turn by their positions"),
    int_attr("kv_cache_bit_width", 0, "of a quantised cache; not used"),
    {.name = "kv_num_heads", .type = AttrType::kInt, .doc = "heads of keys", .required = true},
    text_attr("k_quant_type", "NONE", "only 'NONE'"),
    int_attr("local_window_size", -1, "keys that a query sees, its own included; -1: all"),
    {.name = "num_heads", .type = AttrType::kInt, .doc = "heads of queries", .required = true},
    {.name = "qk_norm_epsilon", .type = AttrType::kFloat, .doc = "of a normalisation; not used"},
    int_attr("qk_output", 0, "only 0"),
    int_attr("rotary_interleaved", 0, "1: neighbours are pairs"),
    {.name = "scale", .type = AttrType::kFloat, .doc = "of the scores; 0: 1 / sqrt(head size)"},
    int_attr("sliding_window_cache", 0, "only 0"),
    int_attr("smooth_softmax", 0, "only 0"),
    {.name = "softcap", .type = AttrType::kFloat, .doc = "c: scores become c tanh(score / c)"},
    text_attr("v_quant_type", "NONE", "only 'NONE'")};

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "GroupQueryAttention",
     .doc = "Attention with grouped heads (Ainslie et al. 2023), a rotary embedding and a cache.",
     .min_inputs = 1,
     .max_inputs = 16,
     .max_outputs = 3,
     .attributes = kAttrs,
     .infer = infer_gqa,
     .lower = lower_gqa,
     .flops = gqa_flops},
};

}  // namespace

extern const OpTable group_query_attention_ops;
const OpTable group_query_attention_ops = {kOps};

}  // namespace lanewise
