// com.microsoft:MultiHeadAttention: heads packed in many forms, a bias, masks that lower scores by
// a number. The computation is in engine/cpu/attention.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "engine/base/parallel.h"
#include "engine/cpu/attention.h"
#include "engine/cpu/key_cache.h"
#include "engine/graph/op.h"
#include "engine/ops/score_bias.h"

namespace lanewise {
namespace {

enum Input { kQ, kK, kV, kBias, kPadding, kAdded, kPastKey, kPastValue, kPastLength, kBeams };
enum Output { kY, kPresentKey, kPresentValue, kScores };

// Where Q, K and V lie.
struct Operands {
  HeadShapes shapes;  // keys include those of the past
  std::int64_t past = 0;
  std::int64_t capacity = 0;  // rows of caches that hold more than the past, else 0
  int k_input = kK, v_input = kV;
  std::int64_t k_offset = 0, v_offset = 0;
  bool key_bias = false;  // besides the queries', which are biased whenever there is one
};

std::int64_t divided(const OpContext& c, int i, std::int64_t size, std::int64_t heads) {
  if (size % heads == 0) return size / heads;
  c.fail("input " + std::to_string(i) + " of shape " + c.shape(i).str() + " does not divide into " +
         std::to_string(heads) + " heads");
}

[[noreturn]] void fail_form(const OpContext& c) {
  std::string shapes = c.shape(kQ).str();
  for (int i : {kK, kV}) shapes += c.has_input(i) ? ", " + c.shape(i).str() : ", none";
  c.fail(
      "query, key and value have shapes " + shapes +
      "; expected three of [batch, row, hidden]; or a query [batch, row, heads, 3, size] alone; or "
      "a query of rank 3 with a key [batch, row, heads, 2, size], or with key and value "
      "[batch, heads, row, size]");
}

// Elements of `parts` interleaved arrays [batch, row, head, part, element].
HeadRows packed_rows(const HeadShapes& s, std::int64_t rows, std::int64_t parts) {
  const std::int64_t head = checked_multiply(parts, s.head);
  const std::int64_t row = checked_multiply(s.kv_heads, head);
  return {checked_multiply(rows, row), head, row};
}

void read_keys(const OpContext& c, Operands& o) {
  HeadShapes& s = o.shapes;
  const Shape& k = c.shape(kK);
  if (k.rank() == 5 && !c.has_input(kV)) {
    if (k != Shape{s.batches, k[1], s.kv_heads, 2, s.head}) fail_form(c);
    s.keys = k[1];
    s.v_head = s.head;
    s.k = s.v = packed_rows(s, s.keys, 2);
    o.v_input = kK;
    o.v_offset = s.head;
    return;
  }
  if (!c.has_input(kV) || c.shape(kV).rank() != k.rank()) fail_form(c);
  const Shape& v = c.shape(kV);
  if (k.rank() == 4) {
    if (k != Shape{s.batches, s.kv_heads, k[2], s.head}) fail_form(c);
    if (v != Shape{s.batches, s.kv_heads, k[2], v[3]}) fail_form(c);
    s.keys = k[2];
    s.v_head = v[3];
    s.k = {s.kv_heads * s.keys * s.head, s.keys * s.head, s.head};
    s.v = {s.kv_heads * s.keys * s.v_head, s.keys * s.v_head, s.v_head};
    return;
  }
  if (k.rank() != 3 || k != Shape{s.batches, k[1], c.shape(kQ)[2]}) fail_form(c);
  if (v != Shape{s.batches, k[1], v[2]}) fail_form(c);
  s.keys = k[1];
  s.v_head = divided(c, kV, v[2], s.kv_heads);
  s.k = packed_rows(s, s.keys, 1);
  s.v = {s.keys * v[2], s.v_head, v[2]};
  o.key_bias = c.has_input(kBias);
}

// Caches of fixed size, of which the first rows are used.
void read_capacity(const OpContext& c, Operands& o) {
  const Tensor* length = c.content(kPastLength);
  if (length->dtype() != DType::kInt32 || length->elements() != 1)
    c.fail("past_sequence_length must be one int32, found shape " + length->shape().str());
  o.capacity = o.past;
  o.past = *length->as<std::int32_t>();
  if (o.past < 0 || o.past > o.capacity - o.shapes.keys) {
    c.fail("past_sequence_length is " + std::to_string(o.past) + ", which with " +
           std::to_string(o.shapes.keys) + " new rows does not fit a cache of " +
           std::to_string(o.capacity));
  }
}

Operands operands_of(const OpContext& c) {
  Operands o;
  HeadShapes& s = o.shapes;
  s.q_heads = s.kv_heads = c.attr_int("num_heads");
  if (s.q_heads < 1) {
    c.fail("attribute 'num_heads' is " + std::to_string(s.q_heads) + ", expected 1 or more");
  }
  const Shape& q = c.shape(kQ);
  c.expect_rank(kQ, 3, 5);
  s.batches = q[0];
  s.queries = q[1];
  if (q.rank() == 5 && !c.has_input(kK) && !c.has_input(kV)) {
    if (q != Shape{q[0], q[1], s.q_heads, 3, q[4]}) fail_form(c);
    if (c.has_input(kBias)) c.unsupported("a bias of packed queries, keys and values");
    s.head = s.v_head = q[4];
    s.keys = s.queries;
    s.q = s.k = s.v = packed_rows(s, s.queries, 3);
    o.k_input = o.v_input = kQ;
    o.k_offset = s.head;
    o.v_offset = 2 * s.head;
  } else {
    if (q.rank() != 3 || !c.has_input(kK)) fail_form(c);
    s.head = divided(c, kQ, q[2], s.q_heads);
    s.q = packed_rows(s, s.queries, 1);
    read_keys(c, o);
  }
  const std::int64_t row = checked_multiply(s.q_heads, s.v_head);
  s.y = {checked_multiply(s.queries, row), s.v_head, row};
  if (c.has_input(kPastKey)) o.past = c.shape(kPastKey).rank() == 4 ? c.shape(kPastKey)[2] : 0;
  if (c.has_input(kPastLength)) read_capacity(c, o);
  s.keys += o.past;
  const float scale = c.attr_float("scale");
  s.scale =
      scale != 0.0f ? static_cast<double>(scale) : 1.0 / std::sqrt(static_cast<double>(s.head));
  return o;
}

void expect_shape(const OpContext& c, int i, const Shape& wanted) {
  if (c.shape(i) == wanted) return;
  c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + ", found " +
         c.shape(i).str());
}

void check_masks(const OpContext& c, const Operands& o) {
  const HeadShapes& s = o.shapes;
  if (c.has_input(kAdded)) {
    c.expect_same_dtype(kQ, kAdded);
    c.expect_rank(kAdded, 4, 4);
    const Shape& added = c.shape(kAdded);
    expect_shape(
        c, kAdded,
        Shape{added[0] == 1 ? 1 : s.batches, added[1] == 1 ? 1 : s.q_heads, s.queries, s.keys});
  }
  if (!c.has_input(kPadding)) return;
  c.expect_dtype(kPadding, {DType::kInt32});
  c.expect_rank(kPadding, 1, 4);
  const Shape& mask = c.shape(kPadding);
  switch (mask.rank()) {
    case 1:
      if (mask[0] != s.batches && mask[0] != 2 * s.batches && mask[0] != 3 * s.batches + 2)
        expect_shape(c, kPadding, Shape{s.batches});
      break;
    case 2: expect_shape(c, kPadding, Shape{s.batches, s.keys}); break;
    case 3: expect_shape(c, kPadding, Shape{s.batches, s.queries, s.keys}); break;
    default:
      expect_shape(c, kPadding, Shape{s.batches, 1, mask[2], mask[2]});
      if (mask[2] < std::max(s.keys, o.past + s.queries))
        c.fail("the mask of shape " + mask.str() + " has too few positions");
  }
}

void infer_mha(InferContext& c) {
  c.expect_dtype(kQ, {DType::kFloat32});
  for (int i : {kK, kV, kBias, kPastKey, kPastValue}) {
    if (c.has_input(i)) c.expect_same_dtype(kQ, i);
  }
  if (c.has_input(kPastKey) != c.has_input(kPastValue))
    c.fail("past_key and past_value must be given together");
  if (c.has_input(kBeams)) c.unsupported("input 9 (cache_indirection)");
  if (c.has_input(kPastLength)) {
    if (!c.has_input(kPastKey)) c.fail("past_sequence_length needs past_key and past_value");
    static_cast<void>(c.need(kPastLength));
  }
  const Operands o = operands_of(c);
  const HeadShapes& s = o.shapes;
  const std::int64_t past = o.capacity > 0 ? o.capacity : o.past;
  if (c.has_input(kPastKey)) {
    expect_shape(c, kPastKey, Shape{s.batches, s.kv_heads, past, s.head});
    expect_shape(c, kPastValue, Shape{s.batches, s.kv_heads, past, s.v_head});
  }
  if (c.has_input(kBias)) expect_shape(c, kBias, Shape{s.q_heads * (2 * s.head + s.v_head)});
  check_masks(c, o);
  const std::int64_t rows = o.capacity > 0 ? o.capacity : s.keys;
  c.set_output(kY, DType::kFloat32,
               Shape{s.batches, s.queries, checked_multiply(s.q_heads, s.v_head)});
  c.set_output(kPresentKey, DType::kFloat32, Shape{s.batches, s.kv_heads, rows, s.head});
  c.set_output(kPresentValue, DType::kFloat32, Shape{s.batches, s.kv_heads, rows, s.v_head});
  c.set_output(kScores, DType::kFloat32, Shape{s.batches, s.q_heads, s.queries, s.keys});
}

class MhaStep {
 public:
  explicit MhaStep(const LowerContext& c)
      : o_(operands_of(c)),
        add_(kernels::eltwise_binary(c.isa()).run[static_cast<int>(kernels::Binary::kAdd)]) {
    HeadShapes& s = o_.shapes;
    const auto take = [this](std::int64_t n) {
      const std::int64_t at = scratch_;
      scratch_ += (n + 15) / 16 * 16;
      return at;
    };
    const std::int64_t fresh = s.keys - o_.past;
    if (c.has_input(kBias)) q_at_ = take(c.shape(kQ).elements());
    if (o_.key_bias) {
      k_at_ = take(c.shape(kK).elements());
      v_at_ = take(c.shape(kV).elements());
    }
    key_ = {s.batches, s.kv_heads, o_.past, fresh, s.head, s.k, o_.capacity};
    value_ = {s.batches, s.kv_heads, o_.past, fresh, s.v_head, s.v, o_.capacity};
    joins_ = o_.past > 0 || c.has_output(kPresentKey) || c.has_output(kPresentValue);
    if (joins_) {
      const bool apart = o_.capacity > 0;
      if (apart || !c.has_output(kPresentKey)) key_at_ = take(key_.elements());
      if (apart || !c.has_output(kPresentValue)) value_at_ = take(value_.elements());
      s.k = key_.strides();
      s.v = value_.strides();
    }
    AttentionProblem p;
    p.shapes = s;
    p.offset = o_.past;
    if (c.attr_int("unidirectional") != 0) p.right = 0;
    if (c.has_output(kScores)) p.show = ScoreOutput::kMasked;
    plan_mask(c, p);
    if (!mask_.direct()) mask_at_ = take(mask_.shape.elements());
    if (c.out_shape(0).elements() > 0 && s.keys > 0) {
      attention_ = std::make_shared<const Attention<float>>(p, c.isa(), c.threads());
      work_at_ = take(attention_->scratch_elements());
    }
  }

  std::int64_t scratch_elements() const { return scratch_; }

  void run(const RunContext& run) const {
    auto* const scratch = reinterpret_cast<float*>(run.scratch);
    const HeadShapes& s = o_.shapes;
    const std::int64_t hidden = s.q_heads * s.head;
    AttentionArrays<float> given;
    given.q = biased(run, kQ, q_at_, 0, hidden);
    given.k = biased(run, o_.k_input, k_at_, hidden, hidden) + o_.k_offset;
    given.v = biased(run, o_.v_input, v_at_, 2 * hidden, s.q_heads * s.v_head) + o_.v_offset;
    given.y = run.out<float>(0);
    if (joins_) {
      float* const keys = key_at_ < 0 ? run.out<float>(kPresentKey) : scratch + key_at_;
      float* const values = value_at_ < 0 ? run.out<float>(kPresentValue) : scratch + value_at_;
      key_.run(past(run, kPastKey), given.k, keys, run.threads);
      value_.run(past(run, kPastValue), given.v, values, run.threads);
      if (o_.capacity > 0 && run.has_out(kPresentKey))
        key_.spread(keys, run.out<float>(kPresentKey));
      if (o_.capacity > 0 && run.has_out(kPresentValue))
        value_.spread(values, run.out<float>(kPresentValue));
      given.k = keys;
      given.v = values;
    }
    const float* const added = run.has_in(kAdded) ? run.in<float>(kAdded) : nullptr;
    given.mask = added;
    if (!mask_.direct()) {
      mask_.fill(run.in<std::int32_t>(kPadding), added, scratch + mask_at_, run.threads);
      given.mask = scratch + mask_at_;
    }
    given.shown = run.has_out(kScores) ? run.out<float>(kScores) : nullptr;
    if (attention_ != nullptr) {
      attention_->run(given, scratch + work_at_, run.threads);
      // Scores of keys that are not seen are given as the least number.
      const std::int64_t shown = s.batches * s.q_heads * s.queries * s.keys;
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      if (given.shown != nullptr)
        std::replace(given.shown, given.shown + shown, -kInfinity,
                     std::numeric_limits<float>::lowest());
    } else {
      std::fill_n(given.y, s.batches * s.queries * s.q_heads * s.v_head, 0.0f);
      if (given.shown != nullptr)
        std::fill_n(given.shown, s.batches * s.q_heads * s.queries * s.keys, 0.0f);
    }
  }

 private:
  void plan_mask(const LowerContext& c, AttentionProblem& p) {
    const HeadShapes& s = p.shapes;
    if (c.has_input(kAdded)) mask_.added = mask_.shape = c.shape(kAdded);
    if (c.has_input(kPadding)) {
      mask_.padding = c.shape(kPadding);
      const bool by_query = mask_.added.rank() > 0 || mask_.padding.rank() > 2;
      mask_.shape = Shape{s.batches, mask_.added.rank() > 0 ? mask_.added[1] : 1,
                          by_query ? s.queries : 1, s.keys};
    }
    mask_.batches = s.batches;
    mask_.past = o_.past;
    mask_.filter = c.attr_float("mask_filter_value");
    if (mask_.shape.rank() == 0) return;
    p.mask = AttentionProblem::Mask::kAdd;
    p.mask_keys = s.keys;
    const std::vector<std::int64_t> strides = mask_.shape.strides();
    for (int i = 0; i < 3; ++i) {
      const auto at = static_cast<std::size_t>(i);
      p.mask_strides[at] = mask_.shape[i] == 1 ? 0 : strides[at];
    }
  }

  static const float* past(const RunContext& run, int i) {
    return run.has_in(i) ? run.in<float>(i) : nullptr;
  }

  // Input i, plus its part of the bias where scratch memory was booked for the sum.
  const float* biased(const RunContext& run, int i, std::int64_t at, std::int64_t bias_at,
                      std::int64_t n) const {
    const float* const x = run.in<float>(i);
    if (at < 0) return x;
    const float* const bias = run.in<float>(kBias) + bias_at;
    float* const to = reinterpret_cast<float*>(run.scratch) + at;
    const std::int64_t rows = i == kQ ? o_.shapes.batches * o_.shapes.queries
                                      : o_.shapes.batches * (o_.shapes.keys - o_.past);
    parallel_for(run.threads, rows, 1 + 16384 / (1 + n), [&](std::int64_t row, std::int64_t end) {
      kernels::BinaryBlock block{x + row * n, bias, to + row * n, end - row, n};
      block.a_row = n;
      add_(block);
    });
    return to;
  }

  Operands o_;
  kernels::BinaryRun add_;
  CacheJoin key_, value_;
  ScoreBias mask_;
  bool joins_ = false;
  // Places in scratch memory, where one is needed.
  std::int64_t q_at_ = -1, k_at_ = -1, v_at_ = -1, key_at_ = -1, value_at_ = -1, mask_at_ = -1;
  std::int64_t work_at_ = 0, scratch_ = 0;
  std::shared_ptr<const Attention<float>> attention_;
};

Step lower_mha(LowerContext& c) {
  auto made = std::make_shared<const MhaStep>(c);
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(made->scratch_elements(), 4));
  step.algorithm = "gemm, row blocks";
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

double mha_flops(const OpContext& c, std::span<const ValueInfo>) {
  return operands_of(c).shapes.flops();
}

constexpr AttrDef kAttrs[] = {
    {.name = "mask_filter_value",
     .type = AttrType::kFloat,
     .doc = "added to the scores of masked keys",
     .float_default = -10000.0f},
    {.name = "num_heads", .type = AttrType::kInt, .doc = "heads", .required = true},
    {.name = "scale", .type = AttrType::kFloat, .doc = "of the scores; 0: 1 / sqrt(head size)"},
    {.name = "unidirectional", .type = AttrType::kInt, .doc = "1: no query sees a key after it"}};

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "MultiHeadAttention",
     .doc = "Attention over packed heads, with a bias of the projections, a padding mask and a "
            "bias of the scores.",
     .min_inputs = 1,
     .max_inputs = 10,
     .max_outputs = 4,
     .attributes = kAttrs,
     .infer = infer_mha,
     .lower = lower_mha,
     .flops = mha_flops},
};

}  // namespace

extern const OpTable multi_head_attention_ops;
const OpTable multi_head_attention_ops = {kOps};

}  // namespace lanewise
