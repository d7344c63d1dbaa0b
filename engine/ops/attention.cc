// Attention of ONNX: shapes, masks, caches of keys and values. The computation is in
// engine/cpu/attention.h.
#include "engine/cpu/attention.h"

#include <memory>
#include <string>

#include "engine/base/error.h"
#include "engine/cpu/key_cache.h"
#include "engine/cpu/staging.h"
#include "engine/graph/op.h"
#include "engine/ops/attention_shapes.h"

namespace lanewise {
namespace {

enum Input { kQ, kK, kV, kMask, kPastKey, kPastValue, kLengths };
enum Output { kY, kPresentKey, kPresentValue, kScores };

constexpr std::initializer_list<DType> kFloats = {DType::kFloat32, DType::kFloat64, DType::kFloat16,
                                                  DType::kBFloat16};

std::int64_t past_rows(const OpContext& c) {
  return c.has_input(kPastKey) ? c.shape(kPastKey)[2] : 0;
}

void expect_shape(const OpContext& c, int i, const Shape& wanted) {
  if (c.shape(i) == wanted) return;
  c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + ", found " +
         c.shape(i).str());
}

void check_caches(const OpContext& c, const HeadShapes& s) {
  if (c.has_input(kPastKey) != c.has_input(kPastValue))
    c.fail("past_key and past_value must be given together");
  if (c.has_input(kPastKey)) {
    c.expect_rank(kPastKey, 4, 4);
    c.expect_same_dtype(kK, kPastKey);
    c.expect_same_dtype(kV, kPastValue);
    const std::int64_t past = past_rows(c);
    expect_shape(c, kPastKey, Shape{s.batches, s.kv_heads, past, s.head});
    expect_shape(c, kPastValue, Shape{s.batches, s.kv_heads, past, s.v_head});
  }
  if (!c.has_input(kLengths)) return;
  if (c.has_input(kPastKey))
    c.fail("nonpad_kv_seqlen cannot be given together with past_key: leave one of them out");
  c.expect_dtype(kLengths, {DType::kInt64});
  expect_shape(c, kLengths, Shape{s.batches});
}

// The mask broadcasts to the scores, but that its last dimension may be shorter.
void check_mask(const OpContext& c, const HeadShapes& s) {
  if (!c.has_input(kMask)) return;
  c.expect_rank(kMask, 1, 4);
  if (c.dtype(kMask) != DType::kBool && !is_integer(c.dtype(kMask))) c.expect_dtype(kMask, kFloats);
  const Shape& mask = c.shape(kMask);
  const Shape wanted{s.batches, s.q_heads, s.queries, s.keys};
  bool fits = mask[mask.rank() - 1] <= s.keys;
  for (int i = 0; i + 1 < mask.rank(); ++i) {
    const std::int64_t dim = mask[i];
    fits = fits && (dim == 1 || dim == wanted[4 - mask.rank() + i]);
  }
  if (!fits) {
    c.fail("attn_mask of shape " + mask.str() + " does not broadcast to the scores of shape " +
           wanted.str() + " (its last dimension may be shorter)");
  }
}

void check_attributes(const OpContext& c) {
  const std::int64_t mode = c.attr_int("qk_matmul_output_mode");
  if (mode < 0 || mode > 3) {
    c.fail("attribute 'qk_matmul_output_mode' is " + std::to_string(mode) + ", expected 0 to 3");
  }
  for (std::string_view name : {"left_window_size", "right_window_size"}) {
    if (c.attr_int(name) < -1) {
      c.fail("attribute '" + std::string(name) + "' is " + std::to_string(c.attr_int(name)) +
             ", expected -1 (no bound) or more");
    }
  }
  (void)softmax_precision(c);
}

HeadShapes shapes_of(const OpContext& c) {
  HeadShapes s = head_shapes(c, past_rows(c));
  s.scale = scale_of(c, s.head);
  return s;
}

void infer_attention(InferContext& c) {
  c.expect_dtype(kQ, kFloats);
  c.expect_same_dtype(kQ, kK);
  c.expect_dtype(kV, kFloats);
  if (c.has_input(kPastKey)) c.expect_rank(kPastKey, 4, 4);
  check_attributes(c);
  const HeadShapes s = shapes_of(c);
  check_caches(c, s);
  check_mask(c, s);
  c.set_output(kY, c.dtype(kQ),
               c.shape(kQ).rank() == 4
                   ? Shape{s.batches, s.q_heads, s.queries, s.v_head}
                   : Shape{s.batches, s.queries, checked_multiply(s.q_heads, s.v_head)});
  c.set_output(kPresentKey, c.dtype(kK), Shape{s.batches, s.kv_heads, s.keys, s.head});
  c.set_output(kPresentValue, c.dtype(kV), Shape{s.batches, s.kv_heads, s.keys, s.v_head});
  c.set_output(kScores, c.dtype(kQ), Shape{s.batches, s.q_heads, s.queries, s.keys});
}

AttentionProblem problem_of(const LowerContext& c) {
  AttentionProblem p;
  p.shapes = shapes_of(c);
  p.softcap = static_cast<double>(c.attr_float("softcap"));
  p.left = c.attr_int("left_window_size");
  p.right = c.attr_int("is_causal") != 0 ? 0 : c.attr_int("right_window_size");
  p.offset = past_rows(c);
  p.has_lengths = c.has_input(kLengths);
  p.precision = softmax_precision(c);
  if (c.has_output(kScores))
    p.show = static_cast<ScoreOutput>(1 + c.attr_int("qk_matmul_output_mode"));
  if (!c.has_input(kMask)) return p;
  const Shape& mask = c.shape(kMask);
  p.mask =
      c.dtype(kMask) == DType::kBool ? AttentionProblem::Mask::kBool : AttentionProblem::Mask::kAdd;
  p.mask_keys = mask[mask.rank() - 1];
  const std::vector<std::int64_t> strides = mask.strides();
  for (int i = 0; i + 1 < mask.rank(); ++i) {
    p.mask_strides[static_cast<std::size_t>(4 - mask.rank() + i)] =
        mask[i] == 1 ? 0 : strides[static_cast<std::size_t>(i)];
  }
  return p;
}

template <class T>
class AttentionStep {
 public:
  explicit AttentionStep(const LowerContext& c)
      : staging_(c, {kQ, kK, kV, kPastKey, kPastValue}, {kY, kPresentKey, kPresentValue, kScores}),
        mask_(c, {kMask}, {}),
        where_(c.where()),
        problem_(problem_of(c)) {
    HeadShapes& s = problem_.shapes;
    const std::int64_t past = past_rows(c);
    key_ = {s.batches, s.kv_heads, past, s.keys - past, s.head, s.k};
    value_ = {s.batches, s.kv_heads, past, s.keys - past, s.v_head, s.v};
    joins_ = past > 0 || c.has_output(kPresentKey) || c.has_output(kPresentValue);
    if (joins_) {
      s.k = key_.strides();
      s.v = value_.strides();
    }
    is_bool_ = problem_.mask == AttentionProblem::Mask::kBool;
    stage_key_ = joins_ && !c.has_output(kPresentKey);
    stage_value_ = joins_ && !c.has_output(kPresentValue);
    std::int64_t at = staging_.elements();
    mask_at_ = at;
    if (!is_bool_) at += mask_.elements();
    key_at_ = at;
    if (stage_key_) at += (key_.elements() + 15) / 16 * 16;
    value_at_ = at;
    if (stage_value_) at += (value_.elements() + 15) / 16 * 16;
    work_at_ = at;
    computes_ = c.out_shape(kY).elements() > 0 ||
                (c.has_output(kScores) && c.out_shape(kScores).elements() > 0);
    if (!computes_ || s.keys == 0) return;
    attention_ = std::make_shared<const Attention<T>>(problem_, c.isa(), c.threads());
    work_ = attention_->scratch_elements();
  }

  std::int64_t scratch_elements() const { return work_at_ + work_; }

  void run(const RunContext& run) const {
    T* const scratch = reinterpret_cast<T*>(run.scratch);
    const auto arrays = staging_.open(run, scratch);
    AttentionArrays<T> given;
    given.q = arrays.in[kQ];
    given.k = arrays.in[kK];
    given.v = arrays.in[kV];
    if (problem_.has_lengths) given.lengths = lengths(run);
    given.y = arrays.out[kY];
    given.shown = arrays.out[kScores];
    if (is_bool_) {
      given.mask = run.in<bool>(kMask);
    } else if (problem_.mask == AttentionProblem::Mask::kAdd) {
      given.mask = mask_.open(run, scratch + mask_at_).in[kMask];
    }
    if (joins_) {
      T* const keys = stage_key_ ? scratch + key_at_ : arrays.out[kPresentKey];
      T* const values = stage_value_ ? scratch + value_at_ : arrays.out[kPresentValue];
      key_.run(arrays.in[kPastKey], given.k, keys, run.threads);
      value_.run(arrays.in[kPastValue], given.v, values, run.threads);
      given.k = keys;
      given.v = values;
    }
    if (attention_ != nullptr) {
      attention_->run(given, scratch + work_at_, run.threads);
    } else if (computes_) {  // no keys at all
      const HeadShapes& s = problem_.shapes;
      std::fill_n(given.y, s.batches * s.q_heads * s.queries * s.v_head, T(0));
    }
    staging_.close(run, arrays);
  }

 private:
  const std::int64_t* lengths(const RunContext& run) const {
    const auto* const values = run.in<std::int64_t>(kLengths);
    for (std::int64_t i = 0; i < problem_.shapes.batches; ++i) {
      if (values[i] >= 0 && values[i] <= problem_.shapes.keys) continue;
      throw ModelError(where_ + "nonpad_kv_seqlen has " + std::to_string(values[i]) +
                       ", expected 0 to the number of keys, " +
                       std::to_string(problem_.shapes.keys));
    }
    return values;
  }

  Staging<T> staging_, mask_;
  std::string where_;
  AttentionProblem problem_;
  CacheJoin key_, value_;
  bool joins_ = false, is_bool_ = false, stage_key_ = false, stage_value_ = false;
  bool computes_ = false;
  std::int64_t mask_at_ = 0, key_at_ = 0, value_at_ = 0, work_at_ = 0, work_ = 0;
  std::shared_ptr<const Attention<T>> attention_;
};

template <class T>
Step make_step(const LowerContext& c) {
  auto made = std::make_shared<const AttentionStep<T>>(c);
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(
      checked_multiply(made->scratch_elements(), static_cast<std::int64_t>(sizeof(T))));
  step.algorithm = std::is_same_v<T, float> ? "gemm, row blocks" : "generic";
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

Step lower_attention(LowerContext& c) {
  const bool wide = c.dtype(kQ) == DType::kFloat64 || c.dtype(kV) == DType::kFloat64;
  return wide ? make_step<double>(c) : make_step<float>(c);
}

double attention_flops(const OpContext& c, std::span<const ValueInfo>) {
  return shapes_of(c).flops();
}

constexpr AttrDef kAttrs[] = {
    {.name = "is_causal", .type = AttrType::kInt, .doc = "1: no query sees a key after it"},
    {.name = "kv_num_heads", .type = AttrType::kInt, .doc = "heads of K and V, for rank 3"},
    {.name = "left_window_size",
     .type = AttrType::kInt,
     .doc = "keys seen before the query's own position; -1: all",
     .int_default = -1},
    {.name = "q_num_heads", .type = AttrType::kInt, .doc = "heads of Q, for rank 3"},
    {.name = "qk_matmul_output_mode",
     .type = AttrType::kInt,
     .doc = "output 3: 0 products, 1 after the cap, 2 after the mask, 3 weights"},
    {.name = "right_window_size",
     .type = AttrType::kInt,
     .doc = "keys seen after the query's own position; -1: all",
     .int_default = -1},
    {.name = "scale", .type = AttrType::kFloat, .doc = "of the scores; 1 / sqrt(head size)"},
    {.name = "softcap", .type = AttrType::kFloat, .doc = "c: scores become c tanh(score / c)"},
    {.name = "softmax_precision",
     .type = AttrType::kInt,
     .doc = "type that the softmax rounds to; that of Q if absent"}};

constexpr OpDef kOps[] = {
    {.name = "Attention",
     .doc = "Scaled dot-product attention (Vaswani et al. 2017) with grouped heads, masks, sliding "
            "windows and caches of keys and values.",
     .min_inputs = 3,
     .max_inputs = 7,
     .max_outputs = 4,
     .attributes = kAttrs,
     .infer = infer_attention,
     .lower = lower_attention,
     .any_float = true,
     .flops = attention_flops},
};

}  // namespace

extern const OpTable attention_ops;
const OpTable attention_ops = {kOps};

}  // namespace lanewise
