// LinearAttention: a state of keys by values, updated token by token, in place of scores
// (Katharopoulos et al. 2020; with the delta rule, Yang et al. 2024).
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "engine/base/parallel.h"
#include "engine/cpu/staging.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention/attention.h"
#include "engine/kernels/eltwise/eltwise.h"

namespace lanewise {
namespace {

enum Input { kQuery, kKey, kValue, kPast, kDecay, kBeta };

constexpr std::initializer_list<DType> kFloats = {DType::kFloat32, DType::kFloat16,
                                                  DType::kBFloat16};

struct LinearShapes {
  std::int64_t batches = 0, tokens = 0, q_heads = 0, kv_heads = 0, keys = 0, values = 0;
};

struct UpdateRule {
  bool decays = false, corrects = false;
};

UpdateRule update_rule(const OpContext& c) {
  const std::string_view name = c.attr_string("update_rule");
  if (name == "linear") return {false, false};
  if (name == "gated") return {true, false};
  if (name == "delta") return {false, true};
  if (name == "gated_delta") return {true, true};
  c.fail("attribute 'update_rule' is '" + std::string(name) +
         "', expected 'linear', 'gated', 'delta' or 'gated_delta'");
}

void expect_shape(const OpContext& c, int i, const Shape& wanted) {
  if (c.shape(i) == wanted) return;
  c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + ", found " +
         c.shape(i).str());
}

LinearShapes shapes_of(const OpContext& c) {
  LinearShapes s;
  for (int i = 0; i < 3; ++i) c.expect_rank(i, 3, 3);
  s.q_heads = c.attr_int("q_num_heads");
  s.kv_heads = c.attr_int("kv_num_heads");
  if (s.q_heads < 1 || s.kv_heads < 1 || s.q_heads % s.kv_heads != 0) {
    c.fail("attributes 'q_num_heads' and 'kv_num_heads' are " + std::to_string(s.q_heads) +
           " and " + std::to_string(s.kv_heads) +
           ", expected positive numbers, the first a multiple of the second");
  }
  s.batches = c.shape(kQuery)[0];
  s.tokens = c.shape(kQuery)[1];
  s.keys = c.shape(kQuery)[2] / s.q_heads;
  s.values = c.shape(kValue)[2] / s.kv_heads;
  expect_shape(c, kQuery, Shape{s.batches, s.tokens, checked_multiply(s.q_heads, s.keys)});
  expect_shape(c, kKey, Shape{s.batches, s.tokens, checked_multiply(s.kv_heads, s.keys)});
  expect_shape(c, kValue, Shape{s.batches, s.tokens, checked_multiply(s.kv_heads, s.values)});
  return s;
}

// `wanted` and not given, or the other way round.
void expect_given(const OpContext& c, int i, const char* name, bool wanted) {
  if (c.has_input(i) == wanted) return;
  c.fail(std::string("input '") + name + "' must be " + (wanted ? "given" : "left out") +
         " for update_rule '" + std::string(c.attr_string("update_rule")) + "'");
}

// One of two sizes for the last dimension.
void check_gate(const OpContext& c, int i, const LinearShapes& s, std::int64_t one,
                std::int64_t other) {
  if (!c.has_input(i)) return;
  c.expect_same_dtype(kQuery, i);
  c.expect_rank(i, 3, 3);
  const std::int64_t last = c.shape(i)[2];
  expect_shape(c, i, Shape{s.batches, s.tokens, last == other ? other : one});
}

void infer_linear(InferContext& c) {
  c.expect_dtype(kQuery, kFloats);
  c.expect_same_dtype(kQuery, kKey);
  c.expect_same_dtype(kQuery, kValue);
  const LinearShapes s = shapes_of(c);
  const UpdateRule rule = update_rule(c);
  expect_given(c, kDecay, "decay", rule.decays);
  expect_given(c, kBeta, "beta", rule.corrects);
  check_gate(c, kDecay, s, s.kv_heads, checked_multiply(s.kv_heads, s.keys));
  check_gate(c, kBeta, s, s.kv_heads, 1);
  const Shape state{s.batches, s.kv_heads, s.keys, s.values};
  if (c.has_input(kPast)) {
    c.expect_dtype(kPast, kFloats);
    expect_shape(c, kPast, state);
  }
  c.set_output(0, c.dtype(kQuery),
               Shape{s.batches, s.tokens, checked_multiply(s.q_heads, s.values)});
  c.set_output(1, c.has_input(kPast) ? c.dtype(kPast) : c.dtype(kQuery), state);
}

class LinearStep {
 public:
  explicit LinearStep(const LowerContext& c)
      : staging_(c, {kQuery, kKey, kValue, kPast, kDecay, kBeta}, {0, 1}),
        s_(shapes_of(c)),
        kernel_(&kernels::linear_attention(c.isa())),
        exp_(kernels::eltwise_unary(c.isa()).run[static_cast<int>(kernels::Unary::kExp)]),
        scale_(c.attr_float("scale")),
        has_state_(c.has_output(1)) {
    if (scale_ == 0.0f) scale_ = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s_.keys)));
    if (c.has_input(kDecay)) decay_row_ = c.shape(kDecay)[2];
    if (c.has_input(kBeta)) beta_row_ = c.shape(kBeta)[2];
    // Columns of the state are independent: they are split where heads do not occupy the threads.
    while (chunk_ > 64 &&
           s_.batches * s_.kv_heads * ((s_.values + chunk_ - 1) / chunk_) < 2 * c.threads())
      chunk_ /= 2;
  }

  std::int64_t scratch_elements() const {
    return staging_.elements() + decay_elements() + (has_state_ ? 0 : state_elements());
  }

  void run(const RunContext& run) const {
    float* const scratch = reinterpret_cast<float*>(run.scratch);
    const auto arrays = staging_.open(run, scratch);
    float* const decay = scratch + staging_.elements();
    if (arrays.in[kDecay] != nullptr) {
      const std::int64_t n = s_.batches * s_.tokens * decay_row_;
      parallel_for(run.threads, n, 4096, [&](std::int64_t begin, std::int64_t end) {
        exp_(arrays.in[kDecay] + begin, decay + begin, end - begin, 0.0f, 0.0f);
      });
    }
    float* const state = has_state_ ? arrays.out[1] : decay + decay_elements();
    const std::int64_t chunks = (s_.values + chunk_ - 1) / chunk_;
    parallel_tasks(run.threads, s_.batches * s_.kv_heads * chunks, [&](std::int64_t task, int) {
      run_columns(arrays, arrays.in[kDecay] == nullptr ? nullptr : decay, state, task / chunks,
                  task % chunks * chunk_);
    });
    staging_.close(run, arrays);
  }

 private:
  std::int64_t decay_elements() const {
    return (checked_multiply(s_.batches * s_.tokens, decay_row_) + 15) / 16 * 16;
  }
  std::int64_t state_elements() const {
    return checked_multiply(s_.batches * s_.kv_heads, checked_multiply(s_.keys, s_.values));
  }

  // All tokens for the columns [first, first + chunk_) of one head's state.
  void run_columns(const Staging<float>::Arrays& arrays, const float* decay, float* states,
                   std::int64_t pair, std::int64_t first) const {
    const std::int64_t batch = pair / s_.kv_heads, head = pair % s_.kv_heads;
    const std::int64_t group = s_.q_heads / s_.kv_heads;
    kernels::LinearToken t;
    t.keys = s_.keys;
    t.columns = std::min(chunk_, s_.values - first);
    t.stride = s_.values;
    t.queries = group;
    t.q_stride = s_.keys;
    t.out_stride = s_.values;
    t.scale = scale_;
    t.decay_step = decay_row_ == s_.kv_heads ? 0 : 1;
    t.state = states + pair * s_.keys * s_.values + first;
    for (std::int64_t d = 0; d < s_.keys; ++d) {
      float* const row = t.state + d * s_.values;
      if (arrays.in[kPast] == nullptr) {
        std::fill_n(row, t.columns, 0.0f);
      } else {
        const std::int64_t at = (pair * s_.keys + d) * s_.values + first;
        std::copy_n(arrays.in[kPast] + at, t.columns, row);
      }
    }
    for (std::int64_t i = 0; i < s_.tokens; ++i) {
      const std::int64_t token = batch * s_.tokens + i;
      const std::int64_t kv = token * s_.kv_heads + head;
      const std::int64_t q = token * s_.q_heads + head * group;
      t.k = arrays.in[kKey] + kv * s_.keys;
      t.v = arrays.in[kValue] + kv * s_.values + first;
      t.q = arrays.in[kQuery] + q * s_.keys;
      t.out = arrays.out[0] + q * s_.values + first;
      if (decay != nullptr)
        t.decay = decay + token * decay_row_ + head * (t.decay_step == 0 ? 1 : s_.keys);
      if (beta_row_ != 0)
        t.beta = arrays.in[kBeta] + token * beta_row_ + (beta_row_ == 1 ? 0 : head);
      kernel_->token(t);
    }
  }

  Staging<float> staging_;
  LinearShapes s_;
  const kernels::LinearAttention* kernel_;
  kernels::UnaryRun exp_;
  float scale_;
  bool has_state_;
  std::int64_t decay_row_ = 0, beta_row_ = 0;
  std::int64_t chunk_ = 256;
};

Step lower_linear(LowerContext& c) {
  auto made = std::make_shared<const LinearStep>(c);
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(made->scratch_elements(), 4));
  step.algorithm = "recurrent";
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

double linear_flops(const OpContext& c, std::span<const ValueInfo>) {
  const LinearShapes s = shapes_of(c);
  const double state = static_cast<double>(s.keys) * static_cast<double>(s.values);
  return static_cast<double>(s.batches * s.tokens) * state *
         static_cast<double>(5 * s.kv_heads + 2 * s.q_heads);
}

constexpr AttrDef kAttrs[] = {
    {.name = "chunk_size",
     .type = AttrType::kInt,
     .doc = "accepted; a hint for other algorithms",
     .int_default = 64},
    {.name = "kv_num_heads", .type = AttrType::kInt, .doc = "heads of keys", .required = true},
    {.name = "q_num_heads", .type = AttrType::kInt, .doc = "heads of queries", .required = true},
    {.name = "scale", .type = AttrType::kFloat, .doc = "of the result; 0: 1 / sqrt(key size)"},
    {.name = "update_rule",
     .type = AttrType::kString,
     .doc = "'linear', 'gated', 'delta' or 'gated_delta'",
     .string_default = "gated_delta"}};

constexpr OpDef kOps[] = {
    {.name = "LinearAttention",
     .doc = "Attention through a recurrent state (Katharopoulos et al. 2020), with decay and the "
            "delta rule (Yang et al. 2024).",
     .min_inputs = 3,
     .max_inputs = 6,
     .max_outputs = 2,
     .attributes = kAttrs,
     .infer = infer_linear,
     .lower = lower_linear,
     .any_float = true,
     .flops = linear_flops},
};

}  // namespace

extern const OpTable linear_attention_ops;
const OpTable linear_attention_ops = {kOps};

}  // namespace lanewise
