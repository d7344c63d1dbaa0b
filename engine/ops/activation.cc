// Activation functions of one operand, but for those that only a float type has and that are also
// plain mathematics (unary.cc), and PRelu, which broadcasts (binary.cc).
#include <cmath>

#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

using kernels::Unary;

struct Parameters {
  float alpha = 0.0f, beta = 0.0f;
};

Parameters parameters(const OpContext& c, Unary f) {
  switch (f) {
    case Unary::kSelu: return {c.attr_float("alpha"), c.attr_float("gamma")};
    case Unary::kHardSigmoid: return {c.attr_float("alpha"), c.attr_float("beta")};
    case Unary::kShrink: return {c.attr_float("lambd"), c.attr_float("bias")};
    case Unary::kLeakyRelu:
    case Unary::kElu:
    case Unary::kCelu:
    case Unary::kThresholdedRelu:
    case Unary::kSwish: return {c.attr_float("alpha"), 0.0f};
    default: return {};
  }
}

double sigmoid(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
double softplus(double x) { return std::log1p(std::exp(-std::abs(x))) + (x < 0 ? 0 : x); }
double clamp_unit(double x) { return x < 0 ? 0 : (x > 1 ? 1 : x); }

// float64; NaN passes.
template <Unary f>
double value(double x, double a, double b) {
  if constexpr (f == Unary::kRelu) return x < 0 ? 0 : x;
  if constexpr (f == Unary::kLeakyRelu) return x < 0 ? a * x : x;
  if constexpr (f == Unary::kElu) return x < 0 ? a * std::expm1(x) : x;
  if constexpr (f == Unary::kSelu) return b * (x < 0 ? a * std::expm1(x) : x);
  if constexpr (f == Unary::kCelu) return x < 0 ? a * std::expm1(x / a) : x;
  if constexpr (f == Unary::kSigmoid) return sigmoid(x);
  if constexpr (f == Unary::kTanh) return std::tanh(x);
  if constexpr (f == Unary::kHardSigmoid) return clamp_unit(a * x + b);
  if constexpr (f == Unary::kHardSwish) return x * clamp_unit(x / 6 + 0.5);
  if constexpr (f == Unary::kSoftplus) return softplus(x);
  if constexpr (f == Unary::kSoftsign) return x / (1 + std::abs(x));
  if constexpr (f == Unary::kGelu) return 0.5 * x * (1 + std::erf(x * 0.70710678118654752440));
  if constexpr (f == Unary::kGeluTanh) {
    return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  }
  if constexpr (f == Unary::kMish) return x * std::tanh(softplus(x));
  if constexpr (f == Unary::kThresholdedRelu) return x > a ? x : (x != x ? x : 0);
  if constexpr (f == Unary::kShrink) return x < -a ? x + b : (x > a ? x - b : (x != x ? x : 0));
  if constexpr (f == Unary::kSwish) return x * sigmoid(a * x);
}

template <Unary f>
Step lower_float(LowerContext& c) {
  const Parameters p = parameters(c, f);
  if (c.dtype(0) == DType::kFloat32) return map_float32(c, f, p.alpha, p.beta);
  return map_elements<double, double>(c, [p](double x) { return value<f>(x, p.alpha, p.beta); });
}

// Relu and Shrink take integers too.
template <Unary f>
Step lower_number(LowerContext& c) {
  if (!is_integer(c.dtype(0))) return lower_float<f>(c);
  const Parameters p = parameters(c, f);
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    step = map_elements<T, T>(c, [p](T x) {
      if constexpr (f == Unary::kRelu) return x < T{0} ? T{0} : x;
      return saturate_cast<T>(value<f>(static_cast<double>(x), p.alpha, p.beta));
    });
  });
  return step;
}

void infer_gelu(InferContext& c) {
  const std::string_view mode = c.attr_string("approximate");
  if (mode != "none" && mode != "tanh") {
    c.fail("attribute 'approximate' is '" + std::string(mode) + "', expected 'none' or 'tanh'");
  }
  infer_map<kFloats>(c);
}

Step lower_gelu(LowerContext& c) {
  return c.attr_string("approximate") == "tanh" ? lower_float<Unary::kGeluTanh>(c)
                                                : lower_float<Unary::kGelu>(c);
}

void infer_celu(InferContext& c) {
  if (c.attr_float("alpha") == 0.0f)
    c.fail("attribute 'alpha' is 0, expected another number: it divides");
  infer_map<kFloats>(c);
}

void infer_clip(InferContext& c) {
  expect_types(c, 0, kNumbers);
  for (int i = 1; i < 3; ++i) {
    if (!c.has_input(i)) continue;
    c.expect_same_dtype(0, i);
    if (c.shape(i).elements() != 1) {
      c.fail("input " + std::to_string(i) + " must be one number, found shape " + c.shape(i).str());
    }
  }
  infer_same(c);
}

// min(max(x, least), most): when least > most the result is most, as ONNX says.
template <class T>
Step clip_step(const LowerContext& c) {
  const std::int64_t n = c.out_shape(0).elements();
  const kernels::UnaryRun kernel =
      kernels::eltwise_unary(c.isa()).run[static_cast<int>(Unary::kClip)];
  using Limits = std::numeric_limits<T>;
  Step step;
  step.run = [n, kernel](const RunContext& run) {
    T least = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    T most = Limits::has_infinity ? Limits::infinity() : Limits::max();
    if (run.has_in(1)) least = *run.in<T>(1);
    if (run.has_in(2)) most = *run.in<T>(2);
    const T* x = run.in<T>(0);
    T* y = run.out<T>(0);
    parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      if constexpr (std::is_same_v<T, float>) {
        kernel(x + begin, y + begin, end - begin, least, most);
      } else {
        for (std::int64_t i = begin; i < end; ++i) {
          const T low = x[i] < least ? least : x[i];
          y[i] = low > most ? most : low;
        }
      }
    });
  };
  step.algorithm = std::is_same_v<T, float> ? "simd" : "map";
  return step;
}

Step lower_clip(LowerContext& c) {
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) { step = clip_step<T>(c); });
  return step;
}

constexpr AttrDef float_attr(std::string_view name, float value, std::string_view doc) {
  return {.name = name, .type = AttrType::kFloat, .doc = doc, .float_default = value};
}
constexpr AttrDef kLeakyReluAttrs[] = {float_attr("alpha", 0.01f, "slope below zero")};
constexpr AttrDef kEluAttrs[] = {float_attr("alpha", 1.0f, "minus the limit at minus infinity")};
constexpr AttrDef kSeluAttrs[] = {
    float_attr("alpha", 1.67326319217681884765625f, "as in Elu"),
    float_attr("gamma", 1.05070102214813232421875f, "scale of all results")};
constexpr AttrDef kHardSigmoidAttrs[] = {float_attr("alpha", 0.2f, "slope"),
                                         float_attr("beta", 0.5f, "value at zero")};
constexpr AttrDef kThresholdedReluAttrs[] = {float_attr("alpha", 1.0f, "the threshold")};
constexpr AttrDef kShrinkAttrs[] = {
    float_attr("lambd", 0.5f, "half the width of the interval that gives 0"),
    float_attr("bias", 0.0f, "what moves the rest toward 0")};
constexpr AttrDef kSwishAttrs[] = {float_attr("alpha", 1.0f, "factor inside the sigmoid")};
constexpr AttrDef kGeluAttrs[] = {{.name = "approximate",
                                   .type = AttrType::kString,
                                   .doc = "'none' (erf) or 'tanh'",
                                   .string_default = "none"}};

// An activation of `types` without shape rules of its own.
constexpr OpDef activation(std::string_view name, std::string_view doc,
                           Step (*lower)(LowerContext&), std::span<const AttrDef> attributes = {},
                           void (*infer)(InferContext&) = infer_map<kFloats>) {
  return {.name = name,
          .doc = doc,
          .attributes = attributes,
          .infer = infer,
          .lower = lower,
          .layout = LayoutRule::kFollow,
          .inplace = 1};
}

constexpr OpDef kOps[] = {
    activation("Relu", "max(x, 0).", lower_number<Unary::kRelu>, {}, infer_map<kFloats | kSigned>),
    activation("LeakyRelu", "x, or alpha x below zero.", lower_float<Unary::kLeakyRelu>,
               kLeakyReluAttrs),
    activation("Elu", "x, or alpha (exp(x) - 1) below zero (Clevert et al. 2016).",
               lower_float<Unary::kElu>, kEluAttrs),
    activation("Selu", "gamma times Elu (Klambauer et al. 2017).", lower_float<Unary::kSelu>,
               kSeluAttrs),
    activation("Celu", "x, or alpha (exp(x / alpha) - 1) below zero (Barron 2017).",
               lower_float<Unary::kCelu>, kEluAttrs, infer_celu),
    activation("Sigmoid", "1 / (1 + exp(-x)).", lower_float<Unary::kSigmoid>),
    activation("Tanh", "Hyperbolic tangent.", lower_float<Unary::kTanh>),
    activation("HardSigmoid", "max(0, min(1, alpha x + beta)).", lower_float<Unary::kHardSigmoid>,
               kHardSigmoidAttrs),
    activation("HardSwish", "x max(0, min(1, x / 6 + 0.5)) (Howard et al. 2019).",
               lower_float<Unary::kHardSwish>),
    activation("Softplus", "log(1 + exp(x)).", lower_float<Unary::kSoftplus>),
    activation("Softsign", "x / (1 + |x|).", lower_float<Unary::kSoftsign>),
    activation("Gelu", "x times the normal distribution function of x (Hendrycks & Gimpel 2016).",
               lower_gelu, kGeluAttrs, infer_gelu),
    activation("Mish", "x tanh(softplus(x)) (Misra 2019).", lower_float<Unary::kMish>),
    activation("ThresholdedRelu", "x above alpha, else 0.", lower_float<Unary::kThresholdedRelu>,
               kThresholdedReluAttrs),
    activation("Shrink", "x moved toward 0 by bias, or 0 where |x| <= lambd.",
               lower_number<Unary::kShrink>, kShrinkAttrs, infer_map<kNumbers>),
    activation("Swish", "x sigmoid(alpha x) (Ramachandran et al. 2017).",
               lower_float<Unary::kSwish>, kSwishAttrs),
    {.name = "Clip",
     .doc = "min(max(x, least), most), with the bounds as optional inputs.",
     .max_inputs = 3,
     .infer = infer_clip,
     .lower = lower_clip,
     .layout = LayoutRule::kFollow,
     .inplace = 1},
};

}  // namespace

extern const OpTable activation_ops;
const OpTable activation_ops = {kOps};

}  // namespace lanewise
