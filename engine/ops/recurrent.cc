// LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014) and the simple RNN (Elman 1990):
// schemas, shape rules and the reading of their options. What runs is engine/cpu/recurrent.
#include "engine/cpu/recurrent.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <string>

#include "engine/graph/op.h"
#include "engine/ops/recurrent.h"

namespace lanewise {
namespace {

using kernels::Gate;
using kernels::GateFunction;

struct GateName {
  std::string_view name;  // lower case: files spell them in several ways
  Gate gate;
  bool takes_alpha, takes_beta;
  float alpha, beta;  // defaults
};
constexpr GateName kGateNames[] = {
    {"sigmoid", Gate::kSigmoid, false, false, 0.0f, 0.0f},
    {"tanh", Gate::kTanh, false, false, 0.0f, 0.0f},
    {"relu", Gate::kRelu, false, false, 0.0f, 0.0f},
    {"affine", Gate::kAffine, true, true, 1.0f, 0.0f},
    {"leakyrelu", Gate::kLeakyRelu, true, false, 0.01f, 0.0f},
    {"thresholdedrelu", Gate::kThresholdedRelu, true, false, 1.0f, 0.0f},
    {"scaledtanh", Gate::kScaledTanh, true, true, 1.0f, 1.0f},
    {"hardsigmoid", Gate::kHardSigmoid, true, true, 0.2f, 0.5f},
    {"elu", Gate::kElu, true, false, 1.0f, 0.0f},
    {"softsign", Gate::kSoftsign, false, false, 0.0f, 0.0f},
    {"softplus", Gate::kSoftplus, false, false, 0.0f, 0.0f},
};

Cell cell_of(const OpContext& c) {
  const std::string_view name = c.node().op->name;
  return name == "LSTM" ? Cell::kLstm : name == "GRU" ? Cell::kGru : Cell::kRnn;
}

int functions_of(Cell cell) { return cell == Cell::kLstm ? 3 : cell == Cell::kGru ? 2 : 1; }

const GateName& find_gate(const OpContext& c, std::string_view given) {
  std::string name(given);
  std::transform(name.begin(), name.end(), name.begin(), [](char ch) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
  });
  for (const GateName& known : kGateNames) {
    if (known.name == name) return known;
  }
  c.fail("attribute 'activations' has '" + std::string(given) +
         "'; expected Sigmoid, Tanh, Relu, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, "
         "HardSigmoid, "
         "Elu, Softsign or Softplus");
}

// Each function takes the next of the given alphas (betas) if it has such a parameter.
void read_functions(const OpContext& c, RecurrentSpec& spec) {
  const int count = functions_of(spec.cell);
  std::vector<std::string> names = c.attr_strings("activations");
  if (names.empty()) {
    for (int i = 0; i < count * spec.directions; ++i) {
      names.push_back(spec.cell != Cell::kRnn && i % count == 0 ? "Sigmoid" : "Tanh");
    }
  }
  if (static_cast<int>(names.size()) != count * spec.directions) {
    c.fail("attribute 'activations' must name " + std::to_string(count) +
           " functions for each of " + std::to_string(spec.directions) + " directions, found " +
           std::to_string(names.size()));
  }
  const std::vector<float> alphas = c.attr_floats("activation_alpha");
  const std::vector<float> betas = c.attr_floats("activation_beta");
  std::size_t next_alpha = 0, next_beta = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const GateName& gate = find_gate(c, names[i]);
    GateFunction& f =
        spec.functions[i / static_cast<std::size_t>(count)][i % static_cast<std::size_t>(count)];
    f.gate = gate.gate;
    f.alpha = gate.takes_alpha && next_alpha < alphas.size() ? alphas[next_alpha++] : gate.alpha;
    f.beta = gate.takes_beta && next_beta < betas.size() ? betas[next_beta++] : gate.beta;
  }
}

void expect_shape(const OpContext& c, int i, const Shape& wanted, const char* what) {
  if (!c.has_input(i)) return;
  if (i != 4) c.expect_same_dtype(i, 0);
  if (c.shape(i) == wanted) return;
  c.fail("input " + std::to_string(i) + " must have shape " + wanted.str() + " (" + what +
         "), found " + c.shape(i).str());
}

void check_inputs(const OpContext& c, const RecurrentSpec& spec) {
  const std::int64_t d = spec.directions, n = spec.gate_columns();
  expect_shape(c, 1, Shape{d, n, spec.input}, "directions, gates x hidden, input size");
  expect_shape(c, 2, Shape{d, n, spec.hidden}, "directions, gates x hidden, hidden");
  expect_shape(c, 3, Shape{d, 2 * n}, "directions, 2 x gates x hidden");
  expect_shape(c, 4, Shape{spec.batch}, "batch");
  if (c.has_input(4)) c.expect_dtype(4, {DType::kInt32});
  const Shape state =
      spec.batch_first ? Shape{spec.batch, d, spec.hidden} : Shape{d, spec.batch, spec.hidden};
  const char* const order =
      spec.batch_first ? "batch, directions, hidden" : "directions, batch, hidden";
  expect_shape(c, 5, state, order);
  expect_shape(c, 6, state, order);
  expect_shape(c, 7, Shape{d, 3 * spec.hidden}, "directions, 3 x hidden");
}

}  // namespace

RecurrentSpec recurrent_spec(const OpContext& c) {
  RecurrentSpec spec;
  spec.cell = cell_of(c);
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  for (int i = 0; i < 3; ++i) c.expect_rank(i, 3, 3);
  const std::string_view direction = c.attr_string("direction");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    c.fail("attribute 'direction' is '" + std::string(direction) +
           "', expected forward, reverse or bidirectional");
  }
  spec.directions = direction == "bidirectional" ? 2 : 1;
  spec.reverse = direction == "reverse";
  const std::int64_t layout = c.attr_int("layout");
  if (layout != 0 && layout != 1) {
    c.fail("attribute 'layout' is " + std::to_string(layout) + ", expected 0 or 1");
  }
  spec.batch_first = layout == 1;
  spec.steps = c.shape(0)[spec.batch_first ? 1 : 0];
  spec.batch = c.shape(0)[spec.batch_first ? 0 : 1];
  spec.input = c.shape(0)[2];
  spec.hidden = c.shape(2)[2];
  (void)checked_multiply(8, spec.hidden);  // the largest multiple in a shape
  if (c.has_attr("hidden_size") && c.attr_int("hidden_size") != spec.hidden) {
    c.fail("attribute 'hidden_size' is " + std::to_string(c.attr_int("hidden_size")) +
           ", but R of shape " + c.shape(2).str() + " is for " + std::to_string(spec.hidden));
  }
  spec.linear_before_reset = c.attr_int("linear_before_reset") != 0;
  spec.coupled = c.attr_int("input_forget") != 0;
  spec.clip = c.has_attr("clip") ? c.attr_float("clip") : std::numeric_limits<float>::infinity();
  if (!(spec.clip >= 0.0f)) c.fail("attribute 'clip' must not be negative");
  read_functions(c, spec);
  check_inputs(c, spec);
  return spec;
}

namespace {

void infer_recurrent(InferContext& c) {
  const RecurrentSpec s = recurrent_spec(c);
  const std::int64_t d = s.directions;
  c.set_output(
      0, c.dtype(0),
      s.batch_first ? Shape{s.batch, s.steps, d, s.hidden} : Shape{s.steps, d, s.batch, s.hidden});
  const Shape state = s.batch_first ? Shape{s.batch, d, s.hidden} : Shape{d, s.batch, s.hidden};
  c.set_output(1, c.dtype(0), state);
  c.set_output(2, c.dtype(0), state);
}

Step lower(LowerContext& c) { return lower_recurrent(c, recurrent_spec(c)); }

double flops(const OpContext& c, std::span<const ValueInfo>) {
  const Shape& x = c.shape(0);
  const double weights =
      static_cast<double>(c.shape(1).elements()) + static_cast<double>(c.shape(2).elements());
  return 2.0 * static_cast<double>(x[0]) * static_cast<double>(x[1]) * weights;
}

constexpr AttrDef kActivations = {
    .name = "activations",
    .type = AttrType::kStrings,
    .doc = "functions of each direction, in the order f, g, h; optional"};
constexpr AttrDef kAlpha = {.name = "activation_alpha",
                            .type = AttrType::kFloats,
                            .doc = "alphas of those functions that have one, in order; optional"};
constexpr AttrDef kBeta = {.name = "activation_beta",
                           .type = AttrType::kFloats,
                           .doc = "betas of those functions that have one, in order; optional"};
constexpr AttrDef kClip = {
    .name = "clip",
    .type = AttrType::kFloat,
    .doc = "bounds the sums of gates to [-clip, clip]; optional, no bound without it"};
constexpr AttrDef kDirection = {.name = "direction",
                                .type = AttrType::kString,
                                .doc = "forward, reverse or bidirectional",
                                .string_default = "forward"};
constexpr AttrDef kHidden = {
    .name = "hidden_size", .type = AttrType::kInt, .doc = "optional; R's shape says it too"};
constexpr AttrDef kLayout = {.name = "layout",
                             .type = AttrType::kInt,
                             .doc = "1: the batch is the first dimension of X, Y and the states"};

constexpr AttrDef kRnnAttrs[] = {kActivations, kAlpha, kBeta, kClip, kDirection, kHidden, kLayout};
constexpr AttrDef kGruAttrs[] = {
    kActivations,
    kAlpha,
    kBeta,
    kClip,
    kDirection,
    kHidden,
    kLayout,
    {.name = "linear_before_reset",
     .type = AttrType::kInt,
     .doc = "1: the reset gate multiplies the state after its linear map, not before"}};
constexpr AttrDef kLstmAttrs[] = {kActivations,
                                  kAlpha,
                                  kBeta,
                                  kClip,
                                  kDirection,
                                  kHidden,
                                  kLayout,
                                  {.name = "input_forget",
                                   .type = AttrType::kInt,
                                   .doc = "1: the forget gate is 1 - input gate"}};

constexpr OpDef kOps[] = {
    {.name = "RNN",
     .doc = "A simple recurrent layer (Elman 1990).",
     .min_inputs = 3,
     .max_inputs = 6,
     .min_outputs = 0,
     .max_outputs = 2,
     .attributes = kRnnAttrs,
     .infer = infer_recurrent,
     .lower = lower,
     .flops = flops},
    {.name = "GRU",
     .doc = "Gated recurrent units (Cho et al. 2014).",
     .min_inputs = 3,
     .max_inputs = 6,
     .min_outputs = 0,
     .max_outputs = 2,
     .attributes = kGruAttrs,
     .infer = infer_recurrent,
     .lower = lower,
     .flops = flops},
    {.name = "LSTM",
     .doc = "Long short-term memory (Hochreiter & Schmidhuber 1997).",
     .min_inputs = 3,
     .max_inputs = 8,
     .min_outputs = 0,
     .max_outputs = 3,
     .attributes = kLstmAttrs,
     .infer = infer_recurrent,
     .lower = lower,
     .flops = flops},
};

}  // namespace

extern const OpTable recurrent_ops;
const OpTable recurrent_ops = {kOps};

}  // namespace lanewise
