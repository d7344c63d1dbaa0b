// com.microsoft:GroupQueryAttention: a step of a decoder with grouped heads, its rotary embedding
// and its cache. Samples of a batch may have caches of different lengths. Here is the shape rule;
// the computation is in grouped_step.cc.

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/ops/grouped_attention.h"

namespace lanewise {
namespace gqa {
namespace {

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

CacheCode code_of(const OpContext& c, int past, int scale, std::string_view attribute,
                  const HeadShapes& s) {
  CacheCode code;
  const std::string_view type = c.attr_string(attribute);
  if (type == "NONE") {
    if (c.has_input(past)) c.expect_same_dtype(kQ, past);
    return code;
  }
  if (type != "PER_TENSOR" && type != "PER_CHANNEL") {
    c.fail("attribute '" + std::string(attribute) + "' is '" + std::string(type) +
           "', expected NONE, PER_TENSOR or PER_CHANNEL");
  }
  const std::int64_t bits = c.attr_int("kv_cache_bit_width");
  if (bits != 0 && bits != 8 && bits != 4) {
    c.fail("attribute 'kv_cache_bit_width' is " + std::to_string(bits) + ", expected 8 or 4");
  }
  code.bits = bits == 4 ? 4 : 8;
  code.per_channel = type == "PER_CHANNEL";
  code.dtype = code.bits == 4 ? DType::kUInt8 : DType::kInt8;
  if (code.bits == 4 && s.head % 2 != 0) c.fail("a cache of 4 bits needs heads of even size");
  if (c.has_input(past)) {
    if (code.bits == 8) c.expect_dtype(past, {DType::kInt8, DType::kFloat8E4M3FN});
    if (code.bits == 4) c.expect_dtype(past, {DType::kUInt8});
    code.dtype = c.dtype(past);
  }
  if (!c.has_input(scale)) c.fail("a quantised cache needs k_scale and v_scale");
  c.expect_dtype(scale, {DType::kFloat32});
  const std::int64_t wanted = code.per_channel ? checked_multiply(s.kv_heads, s.head) : 1;
  if (c.shape(scale).elements() != wanted) {
    c.fail("input " + std::to_string(scale) + " must have " + std::to_string(wanted) +
           " scales, found shape " + c.shape(scale).str());
  }
  return code;
}

void read_caches(const OpContext& c, Grouped& g) {
  const HeadShapes& s = g.shapes;
  if ((c.attr_string("k_quant_type") == "NONE") != (c.attr_string("v_quant_type") == "NONE"))
    c.fail("k_quant_type and v_quant_type must both be NONE, or neither");
  g.key_code = code_of(c, kPastKey, kKeyScale, "k_quant_type", s);
  g.value_code = code_of(c, kPastValue, kValueScale, "v_quant_type", s);
  if (c.has_input(kPastKey) != c.has_input(kPastValue))
    c.fail("past_key and past_value must be given together");
  if (!c.has_input(kPastKey)) return;
  c.expect_same_dtype(kPastKey, kPastValue);
  c.expect_rank(kPastKey, 4, 4);
  g.past = c.shape(kPastKey)[2];
  const std::int64_t entries = g.key_code.entries(s.head);
  for (int i : {kPastKey, kPastValue})
    expect_shape(c, i, Shape{s.batches, s.kv_heads, g.past, entries});
}

// A cache of fixed capacity that holds the last tokens.
void read_window(const OpContext& c, Grouped& g) {
  if (c.attr_int("sliding_window_cache") == 0) return;
  g.window = c.attr_int("local_window_size");
  if (g.window < 1 || g.past < g.window) {
    c.fail(
        "sliding_window_cache = 1 needs a local_window_size of 1 or more, and a past_key of at "
        "least as many rows; found " +
        std::to_string(g.window) + " and " + std::to_string(g.past));
  }
  if (c.attr_int("qk_output") != 0) c.unsupported("qk_output of a windowed cache");
}

void read_rotation(const OpContext& c, Grouped& g) {
  if (c.attr_int("do_rotary") == 0) return;
  for (int i : {kCos, kSin}) {
    if (!c.has_input(i)) c.fail("do_rotary = 1 needs cos_cache and sin_cache");
    c.expect_rank(i, 2, 2);
  }
  expect_shape(c, kSin, c.shape(kCos));
  g.angles = c.shape(kCos)[0];
  g.half = c.shape(kCos)[1];
  if (2 * g.half > g.shapes.head) c.fail("cos_cache turns more elements than a head has");
}

}  // namespace

std::int64_t Grouped::resident(std::int64_t tokens) const {
  if (tokens <= rows) return tokens;
  const std::int64_t freed = rows - window + 1;  // at a time
  return tokens - (tokens - rows + freed - 1) / freed * freed;
}

Grouped grouped_of(const OpContext& c, std::int64_t total) {
  Grouped g;
  read_heads(c, g);
  HeadShapes& s = g.shapes;
  read_caches(c, g);
  if (total < s.queries) {
    c.fail("total_sequence_length is " + std::to_string(total) + ", expected at least the " +
           std::to_string(s.queries) + " rows of the query");
  }
  g.total = total;
  g.prompt = total == s.queries;
  read_window(c, g);
  g.rows = g.window > 0 ? g.past : std::max(g.past, total);
  s.keys = g.window > 0 ? g.rows + s.queries : total;
  const std::int64_t head = checked_multiply(g.window > 0 ? s.keys : g.rows, s.head);
  s.k = s.v = {checked_multiply(s.kv_heads, head), head, s.head};
  checked_multiply(checked_multiply(s.batches, s.q_heads), checked_multiply(s.queries, s.keys));
  const float scale = c.attr_float("scale");
  const double size = static_cast<double>(std::max<std::int64_t>(1, s.head));
  s.scale = scale != 0.0f ? static_cast<double>(scale) : 1.0 / std::sqrt(size);
  read_rotation(c, g);
  return g;
}

std::int64_t total_of(const OpContext& c, const Tensor& tensor) {
  if (tensor.dtype() != DType::kInt32 || tensor.elements() != 1)
    c.fail("total_sequence_length must be one int32, found shape " + tensor.shape().str());
  return *tensor.as<std::int32_t>();
}

namespace {

void check_extras(const OpContext& c, const Grouped& g) {
  const HeadShapes& s = g.shapes;
  if (c.has_input(kPositions)) {
    c.expect_dtype(kPositions, {DType::kInt64});
    expect_shape(c, kPositions, Shape{s.batches, s.queries});
  }
  if (c.has_input(kAdded)) {
    c.expect_rank(kAdded, 4, 4);
    const Shape& added = c.shape(kAdded);
    expect_shape(
        c, kAdded,
        Shape{added[0] == 1 ? 1 : s.batches, added[1] == 1 ? 1 : s.q_heads, s.queries, g.total});
  }
  if (c.has_input(kSink)) expect_shape(c, kSink, Shape{s.q_heads});
  if (c.has_input(kQueryNorm) != c.has_input(kKeyNorm))
    c.fail("q_norm_weight and k_norm_weight must be given together");
  for (int i : {kQueryNorm, kKeyNorm}) {
    if (c.has_input(i)) expect_shape(c, i, Shape{s.head});
  }
}

void infer_gqa(InferContext& c) {
  c.expect_dtype(kQ, {DType::kFloat32});
  for (int i : {kK, kV, kCos, kSin, kAdded, kSink, kQueryNorm, kKeyNorm}) {
    if (c.has_input(i)) c.expect_same_dtype(kQ, i);
  }
  if (!c.has_input(kLengths) || !c.has_input(kTotal))
    c.fail("seqlens_k and total_sequence_length are required");
  c.expect_dtype(kLengths, {DType::kInt32});
  const Grouped g = grouped_of(c, total_of(c, c.need(kTotal)));
  const HeadShapes& s = g.shapes;
  if (c.shape(kLengths).elements() != s.batches) expect_shape(c, kLengths, Shape{s.batches});
  check_extras(c, g);
  const std::int64_t show = c.attr_int("qk_output");
  if (show < 0 || show > 2) {
    c.fail("attribute 'qk_output' is " + std::to_string(show) +
           ", expected 0, 1 (before the softmax) or 2 (after it)");
  }
  c.set_output(kY, DType::kFloat32, Shape{s.batches, s.queries, s.q_heads * s.head});
  for (int i : {kPresentKey, kPresentValue}) {
    const CacheCode& code = i == kPresentKey ? g.key_code : g.value_code;
    c.set_output(i, code.dtype, Shape{s.batches, s.kv_heads, g.rows, code.entries(s.head)});
  }
  if (show != 0)
    c.set_output(kScores, DType::kFloat32, Shape{s.batches, s.q_heads, s.queries, g.total});
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
    int_attr("kv_cache_bit_width", 0, "of a quantised cache: 8 (also if 0) or 4"),
    {.name = "kv_num_heads", .type = AttrType::kInt, .doc = "heads of keys", .required = true},
    text_attr("k_quant_type", "NONE", "of cached keys: NONE, PER_TENSOR or PER_CHANNEL"),
    int_attr("local_window_size", -1, "keys that a query sees, its own included; -1: all"),
    {.name = "num_heads", .type = AttrType::kInt, .doc = "heads of queries", .required = true},
    {.name = "qk_norm_epsilon",
     .type = AttrType::kFloat,
     .doc = "added to the mean square where heads are normalised",
     .float_default = 1e-6f},
    int_attr("qk_output", 0, "output 3: scores (1) or weights (2)"),
    int_attr("rotary_interleaved", 0, "1: neighbours are pairs"),
    {.name = "scale", .type = AttrType::kFloat, .doc = "of the scores; 0: 1 / sqrt(head size)"},
    int_attr("sliding_window_cache", 0, "1: caches keep the last tokens alone"),
    int_attr("smooth_softmax", 0, "1: a score of zero joins each softmax"),
    {.name = "softcap", .type = AttrType::kFloat, .doc = "c: scores become c tanh(score / c)"},
    text_attr("v_quant_type", "NONE", "of cached values, likewise")};

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "GroupQueryAttention",
     .doc =
         "Attention with grouped heads (Ainslie et al. 2023), a rotary embedding and a cache that "
         "may be quantised or windowed.",
     .min_inputs = 1,
     .max_inputs = 16,
     .max_outputs = 4,
     .attributes = kAttrs,
     .infer = infer_gqa,
     .lower = lower_gqa,
     .flops = gqa_flops},
};

}  // namespace
}  // namespace gqa

extern const OpTable group_query_attention_ops;
const OpTable group_query_attention_ops = {gqa::kOps};

}  // namespace lanewise
