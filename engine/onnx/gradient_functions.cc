// Derivatives of element-wise functions and of reductions. Where a function has a kink, the
// derivative is that of one side.
#include <cmath>
#include <numbers>

#include "engine/onnx/gradient.h"

namespace lanewise::onnx {
namespace {

void identity(const Visit& v) { v.reverse.add(v.x(), v.g); }
void cast(const Visit& v) { v.reverse.add(v.x(), v.op("CastLike", {v.g, v.x()})); }
void negative(const Visit& v) { v.reverse.add(v.x(), v.op("Neg", {v.g})); }

void sum(const Visit& v) {
  for (const std::string& x : v.node.inputs) v.reverse.add_broadcast(x, v.g);
}
void mean(const Visit& v) {
  const auto count = static_cast<double>(v.node.inputs.size());
  const std::string share = v.op("Div", {v.g, v.number(count)});
  for (const std::string& x : v.node.inputs) v.reverse.add_broadcast(x, share);
}
// Max and Min: all operands that equal the result count.
void extreme(const Visit& v) {
  for (const std::string& x : v.node.inputs)
    v.reverse.add_broadcast(x, v.masked(v.op("Equal", {x, v.y()})));
}
void difference(const Visit& v) {
  v.reverse.add_broadcast(v.x(0), v.g);
  v.reverse.add_broadcast(v.x(1), v.op("Neg", {v.g}));
}
void product(const Visit& v) {
  v.reverse.add_broadcast(v.x(0), v.mul(v.g, v.x(1)));
  v.reverse.add_broadcast(v.x(1), v.mul(v.g, v.x(0)));
}
void quotient(const Visit& v) {
  const std::string first = v.op("Div", {v.g, v.x(1)});
  v.reverse.add_broadcast(v.x(0), first);
  v.reverse.add_broadcast(v.x(1), v.op("Neg", {v.mul(first, v.y())}));
}
void power(const Visit& v) {
  const std::string less = v.sub(v.x(1), v.reverse.number(1, v.x(1)));
  const std::string slope = v.mul(v.op("Pow", {v.x(0), less}), v.x(1));
  v.reverse.add_broadcast(v.x(0), v.mul(v.g, slope));
  if (v.wants(1)) {
    const std::string rise = v.mul(v.y(), v.op("Log", {v.x(0)}));
    v.reverse.add_broadcast(v.x(1), v.mul(v.g, rise));
  }
}
void choice(const Visit& v) {
  const std::string zero = v.reverse.number(0, v.x(1));
  v.reverse.add_broadcast(v.x(1), v.where(v.x(0), v.g, zero));
  v.reverse.add_broadcast(v.x(2), v.where(v.x(0), zero, v.g));
}

std::string square(const Visit& v, const std::string& x) { return v.mul(x, x); }
std::string one_less(const Visit& v, const std::string& x) { return v.sub(v.number(1), x); }
void divided_by(const Visit& v, const std::string& slope) {
  v.reverse.add(v.x(), v.op("Div", {v.g, slope}));
}

void exponential(const Visit& v) { v.times(v.y()); }
void logarithm(const Visit& v) { divided_by(v, v.x()); }
void root(const Visit& v) { divided_by(v, v.add(v.y(), v.y())); }
void reciprocal(const Visit& v) { v.times(v.op("Neg", {square(v, v.y())})); }
void sine(const Visit& v) { v.times(v.op("Cos", {v.x()})); }
void cosine(const Visit& v) { v.times(v.op("Neg", {v.op("Sin", {v.x()})})); }
void tangent(const Visit& v) { v.times(v.add(square(v, v.y()), v.number(1))); }
void arc_sine(const Visit& v) { divided_by(v, v.op("Sqrt", {one_less(v, square(v, v.x()))})); }
void arc_cosine(const Visit& v) {
  divided_by(v, v.op("Neg", {v.op("Sqrt", {one_less(v, square(v, v.x()))})}));
}
void arc_tangent(const Visit& v) { divided_by(v, v.add(square(v, v.x()), v.number(1))); }
void hyperbolic_sine(const Visit& v) { v.times(v.op("Cosh", {v.x()})); }
void hyperbolic_cosine(const Visit& v) { v.times(v.op("Sinh", {v.x()})); }
void hyperbolic_tangent(const Visit& v) { v.times(one_less(v, square(v, v.y()))); }
void area_sine(const Visit& v) {
  divided_by(v, v.op("Sqrt", {v.add(square(v, v.x()), v.number(1))}));
}
void area_cosine(const Visit& v) {
  divided_by(v, v.op("Sqrt", {v.sub(square(v, v.x()), v.number(1))}));
}
void area_tangent(const Visit& v) { divided_by(v, one_less(v, square(v, v.x()))); }
void magnitude(const Visit& v) { v.times(v.op("Sign", {v.x()})); }

// c exp(-x^2 s)
std::string bell(const Visit& v, double c, double s) {
  return v.mul(v.op("Exp", {v.mul(square(v, v.x()), v.number(-s))}), v.number(c));
}
void error_function(const Visit& v) { v.times(bell(v, 2.0 * std::numbers::inv_sqrtpi, 1.0)); }

void rectifier(const Visit& v) { v.times(v.op("Sign", {v.y()})); }
void logistic(const Visit& v) { v.times(v.mul(v.y(), one_less(v, v.y()))); }
void soft_plus(const Visit& v) { v.times(v.op("Sigmoid", {v.x()})); }
void soft_sign(const Visit& v) {
  divided_by(v, square(v, v.add(v.op("Abs", {v.x()}), v.number(1))));
}
std::string below_zero(const Visit& v) { return v.op("Less", {v.x(), v.number(0)}); }
void leaky_rectifier(const Visit& v) {
  v.times(v.where(below_zero(v), v.number(v.attr_float("alpha", 0.01f)), v.number(1)));
}
void exponential_unit(const Visit& v) {
  const std::string alpha = v.number(v.attr_float("alpha", 1.0f));
  v.times(v.where(below_zero(v), v.add(v.y(), alpha), v.number(1)));
}
void scaled_unit(const Visit& v) {
  const double alpha = v.attr_float("alpha", 1.67326319217681884765625f);
  const double gamma = v.attr_float("gamma", 1.05070102214813232421875f);
  const std::string rise = v.mul(v.op("Exp", {v.x()}), v.number(gamma * alpha));
  v.times(v.where(below_zero(v), rise, v.number(gamma)));
}
void continuous_unit(const Visit& v) {
  const std::string alpha = v.number(v.attr_float("alpha", 1.0f));
  const std::string rise = v.op("Exp", {v.op("Div", {v.x(), alpha})});
  v.times(v.where(below_zero(v), rise, v.number(1)));
}
std::string between(const Visit& v, const std::string& x, double low, double high) {
  return v.op("And", {v.op("Greater", {x, v.number(low)}), v.op("Less", {x, v.number(high)})});
}
void hard_logistic(const Visit& v) {
  const std::string alpha = v.number(v.attr_float("alpha", 0.2f));
  v.times(v.where(between(v, v.y(), 0, 1), alpha, v.number(0)));
}
void hard_swish(const Visit& v) {
  const std::string rise = v.op("Div", {v.add(v.add(v.x(), v.x()), v.number(3)), v.number(6)});
  const std::string steady =
      v.op("Cast", {v.op("Greater", {v.x(), v.number(0)})}, attrs({{"to", std::int64_t{1}}}));
  v.times(v.where(between(v, v.x(), -3, 3), rise, v.op("CastLike", {steady, v.x()})));
}
void thresholded_rectifier(const Visit& v) {
  const std::string alpha = v.number(v.attr_float("alpha", 1.0f));
  v.reverse.add(v.x(), v.masked(v.op("Greater", {v.x(), alpha})));
}
void sloped_rectifier(const Visit& v) {
  const std::string negative = below_zero(v);
  v.times(v.where(negative, v.x(1), v.number(1)));
  v.reverse.add_broadcast(v.x(1), v.mul(v.g, v.where(negative, v.x(), v.number(0))));
}
// s + alpha x s (1 - s), s = sigmoid(alpha x)
void swish(const Visit& v) {
  const std::string scaled = v.mul(v.x(), v.number(v.attr_float("alpha", 1.0f)));
  const std::string s = v.op("Sigmoid", {scaled});
  v.times(v.add(s, v.mul(scaled, v.mul(s, one_less(v, s)))));
}
// t + x (1 - t^2) sigmoid(x), t = tanh(softplus(x))
void mish(const Visit& v) {
  const std::string t = v.op("Tanh", {v.op("Softplus", {v.x()})});
  const std::string rest = v.mul(one_less(v, square(v, t)), v.op("Sigmoid", {v.x()}));
  v.times(v.add(t, v.mul(v.x(), rest)));
}
void gaussian_unit(const Visit& v) {
  const std::string half = v.number(0.5);
  if (v.attr_string("approximate", "none") == "tanh") {
    // u = sqrt(2 / pi) (x + 0.044715 x^3)
    const double c = std::sqrt(2.0) * std::numbers::inv_sqrtpi;
    const std::string x2 = square(v, v.x());
    const std::string u = v.mul(v.x(), v.add(v.mul(x2, v.number(0.044715 * c)), v.number(c)));
    const std::string slope = v.add(v.mul(x2, v.number(3 * 0.044715 * c)), v.number(c));
    const std::string t = v.op("Tanh", {u});
    const std::string rise = v.mul(v.x(), v.mul(one_less(v, square(v, t)), slope));
    v.times(v.mul(half, v.add(v.add(t, v.number(1)), rise)));
    return;
  }
  const std::string erf = v.op("Erf", {v.mul(v.x(), v.number(std::numbers::sqrt2 / 2))});
  const std::string density = bell(v, std::numbers::inv_sqrtpi / std::numbers::sqrt2, 0.5);
  v.times(v.add(v.mul(half, v.add(erf, v.number(1))), v.mul(v.x(), density)));
}
// What is cut off gives its derivative to the bound.
void clip(const Visit& v) {
  std::string g = v.g;
  for (const auto& [i, compare] :
       {std::pair{std::size_t{1}, "Less"}, {std::size_t{2}, "Greater"}}) {
    if (!v.has(i)) continue;
    const std::string cut = v.op(compare, {v.x(), v.x(i)});
    v.reverse.add_broadcast(v.x(i), v.where(cut, v.g, v.number(0)));
    g = v.where(cut, v.number(0), g);
  }
  v.reverse.add(v.x(), g);
}

// A reduction's result, or its derivative, in the shape of its input.
std::string spread(const Visit& v, const std::string& small) {
  const bool restore = v.has(1) && v.attr("keepdims", 1) == 0;
  const std::string whole = restore ? v.op("Unsqueeze", {small, v.x(1)}) : small;
  return v.op("Expand", {whole, v.op("Shape", {v.x()})});
}
void reduced_sum(const Visit& v) { v.reverse.add(v.x(), spread(v, v.g)); }
void reduced_mean(const Visit& v) {
  const std::string count = v.op("Div", {v.op("Size", {v.x()}), v.op("Size", {v.y()})});
  v.reverse.add(v.x(), spread(v, v.op("Div", {v.g, v.op("CastLike", {count, v.g})})));
}
// Elements that equal the extreme share its derivative.
void reduced_extreme(const Visit& v) {
  const std::string equal = v.op("Equal", {v.x(), spread(v, v.y())});
  const std::string hits = v.op("CastLike", {equal, v.x()});
  NameList inputs = {hits};
  if (v.has(1)) inputs.push_back(v.x(1));
  const std::string count = v.op("ReduceSum", std::move(inputs), v.node.attributes);
  v.reverse.add(v.x(), v.mul(hits, spread(v, v.op("Div", {v.g, count}))));
}
void reduced_l1(const Visit& v) {
  v.reverse.add(v.x(), v.mul(spread(v, v.g), v.op("Sign", {v.x()})));
}
void reduced_l2(const Visit& v) {
  v.reverse.add(v.x(), v.mul(v.x(), spread(v, v.op("Div", {v.g, v.y()}))));
}
void reduced_squares(const Visit& v) {
  v.reverse.add(v.x(), v.mul(v.x(), spread(v, v.add(v.g, v.g))));
}
void reduced_log_sum(const Visit& v) {
  v.reverse.add(v.x(), spread(v, v.op("Div", {v.g, v.op("Exp", {v.y()})})));
}
void reduced_log_sum_exp(const Visit& v) {
  const std::string share = v.op("Exp", {v.sub(v.x(), spread(v, v.y()))});
  v.reverse.add(v.x(), v.mul(share, spread(v, v.g)));
}
void running_sum(const Visit& v) {
  AttrMap back = attrs({{"exclusive", v.attr("exclusive", 0)},
                        {"reverse", std::int64_t{v.attr("reverse", 0) == 0 ? 1 : 0}}});
  v.reverse.add(v.x(), v.op("CumSum", {v.g, v.x(1)}, std::move(back)));
}

constexpr Derivative kDerivatives[] = {
    {"Abs", magnitude},
    {"Acos", arc_cosine},
    {"Acosh", area_cosine},
    {"Add", sum},
    {"And", no_derivative},
    {"ArgMax", no_derivative},
    {"ArgMin", no_derivative},
    {"Asin", arc_sine},
    {"Asinh", area_sine},
    {"Atan", arc_tangent},
    {"Atanh", area_tangent},
    {"Cast", cast},
    {"CastLike", cast},
    {"Ceil", no_derivative},
    {"Celu", continuous_unit},
    {"Clip", clip},
    {"Cos", cosine},
    {"Cosh", hyperbolic_cosine},
    {"CumSum", running_sum},
    {"Div", quotient},
    {"Elu", exponential_unit},
    {"Equal", no_derivative},
    {"Erf", error_function},
    {"Exp", exponential},
    {"Floor", no_derivative},
    {"Gelu", gaussian_unit},
    {"Greater", no_derivative},
    {"GreaterOrEqual", no_derivative},
    {"HardSigmoid", hard_logistic},
    {"HardSwish", hard_swish},
    {"Identity", identity},
    {"IsInf", no_derivative},
    {"IsNaN", no_derivative},
    {"LeakyRelu", leaky_rectifier},
    {"Less", no_derivative},
    {"LessOrEqual", no_derivative},
    {"Log", logarithm},
    {"Max", extreme},
    {"Mean", mean},
    {"Min", extreme},
    {"Mish", mish},
    {"Mul", product},
    {"Neg", negative},
    {"NonZero", no_derivative},
    {"Not", no_derivative},
    {"Or", no_derivative},
    {"PRelu", sloped_rectifier},
    {"Pow", power},
    {"Reciprocal", reciprocal},
    {"ReduceL1", reduced_l1},
    {"ReduceL2", reduced_l2},
    {"ReduceLogSum", reduced_log_sum},
    {"ReduceLogSumExp", reduced_log_sum_exp},
    {"ReduceMax", reduced_extreme},
    {"ReduceMean", reduced_mean},
    {"ReduceMin", reduced_extreme},
    {"ReduceSum", reduced_sum},
    {"ReduceSumSquare", reduced_squares},
    {"Relu", rectifier},
    {"Round", no_derivative},
    {"Selu", scaled_unit},
    {"Shape", no_derivative},
    {"Sigmoid", logistic},
    {"Sign", no_derivative},
    {"Sin", sine},
    {"Sinh", hyperbolic_sine},
    {"Size", no_derivative},
    {"Softplus", soft_plus},
    {"Softsign", soft_sign},
    {"Sqrt", root},
    {"Sub", difference},
    {"Sum", sum},
    {"Swish", swish},
    {"Tan", tangent},
    {"Tanh", hyperbolic_tangent},
    {"ThresholdedRelu", thresholded_rectifier},
    {"Where", choice},
    {"Xor", no_derivative},
};

}  // namespace

std::span<const Derivative> function_derivatives() { return kDerivatives; }

}  // namespace lanewise::onnx
