// Mathematics, signs, rounding and tests of one operand. Activations are in activation.cc.
#include <cmath>

#include "engine/ops/eltwise.h"
#include "engine/ops/small_types.h"

namespace lanewise {
namespace {

using kernels::Unary;

// float64 versions of the functions that have a float32 kernel.
template <Unary f>
double value(double x) {
  if constexpr (f == Unary::kErf) return std::erf(x);
  if constexpr (f == Unary::kSqrt) return std::sqrt(x);
  if constexpr (f == Unary::kExp) return std::exp(x);
  if constexpr (f == Unary::kLog) return std::log(x);
  if constexpr (f == Unary::kReciprocal) return 1.0 / x;
  if constexpr (f == Unary::kFloor) return std::floor(x);
  if constexpr (f == Unary::kCeil) return std::ceil(x);
  if constexpr (f == Unary::kRound)
    return std::nearbyint(x);  // in the default mode, halves to even
}

template <Unary f>
Step lower_kernel(LowerContext& c) {
  if (c.dtype(0) == DType::kFloat32) return map_float32(c, f);
  return map_elements<double, double>(c, [](double x) { return value<f>(x); });
}

// Functions without a kernel of their own: the C library's.
template <double (*wide)(double), float (*narrow)(float)>
Step lower_library(LowerContext& c) {
  if (c.dtype(0) == DType::kFloat32)
    return map_elements<float, float>(c, [](float x) { return narrow(x); });
  return map_elements<double, double>(c, [](double x) { return wide(x); });
}

// The least integer is its own magnitude and negation, as in two's complement.
template <Unary f>
Step lower_signed(LowerContext& c) {
  if (c.dtype(0) == DType::kFloat32) return map_float32(c, f);
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    step = map_elements<T, T>(c, [](T x) {
      if constexpr (f == Unary::kSign) {
        return static_cast<T>(x > T{0} ? T{1}
                                       : (x < T{0} ? static_cast<T>(-1) : (x != x ? x : T{0})));
      } else if constexpr (std::is_floating_point_v<T>) {
        return f == Unary::kAbs ? std::abs(x) : -x;
      } else {
        const T negated = static_cast<T>(Wrapping<T>{0} - static_cast<Wrapping<T>>(x));
        return f == Unary::kNeg || x < T{0} ? negated : x;
      }
    });
  });
  return step;
}

Step lower_not(LowerContext& c) {
  return map_elements<bool, bool>(c, [](bool x) { return !x; });
}

Step lower_bitwise_not(LowerContext& c) {
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) {
      step = map_elements<T, T>(c, [](T x) { return static_cast<T>(~x); });
    }
  });
  return step;
}

void infer_test(InferContext& c) {
  if (!is_small(c.dtype(0))) expect_types(c, 0, kFloats);
  c.set_output(0, DType::kBool, c.shape(0));
}

template <class F>
Step float_test(const LowerContext& c, F test) {
  if (const DType type = c.dtype(0); is_small(type)) {
    return map_elements<std::uint8_t, bool>(
        c, [=](std::uint8_t code) { return test(decode_small(type, code)); });
  }
  if (c.dtype(0) == DType::kFloat32) return map_elements<float, bool>(c, test);
  return map_elements<double, bool>(c, test);
}

Step lower_is_nan(LowerContext& c) {
  return float_test(c, [](auto x) { return x != x; });
}

Step lower_is_inf(LowerContext& c) {
  const bool negative = c.attr_int("detect_negative") != 0,
             positive = c.attr_int("detect_positive") != 0;
  return float_test(c, [=](auto x) { return std::isinf(x) && (x < 0 ? negative : positive); });
}

constexpr AttrDef kIsInfAttrs[] = {{.name = "detect_negative",
                                    .type = AttrType::kInt,
                                    .doc = "minus infinity counts",
                                    .int_default = 1},
                                   {.name = "detect_positive",
                                    .type = AttrType::kInt,
                                    .doc = "plus infinity counts",
                                    .int_default = 1}};

constexpr OpDef unary(std::string_view name, std::string_view doc, Step (*lower)(LowerContext&),
                      void (*infer)(InferContext&) = infer_map<kFloats>) {
  return {.name = name,
          .doc = doc,
          .infer = infer,
          .lower = lower,
          .layout = LayoutRule::kFollow,
          .inplace = 1};
}

constexpr OpDef kOps[] = {
    unary("Abs", "Magnitude.", lower_signed<Unary::kAbs>, infer_map<kNumbers>),
    unary("Neg", "Minus x.", lower_signed<Unary::kNeg>, infer_map<kFloats | kSigned>),
    unary("Sign", "-1, 0 or 1.", lower_signed<Unary::kSign>, infer_map<kNumbers>),
    unary("Erf", "The error function.", lower_kernel<Unary::kErf>),
    unary("Sqrt", "Square root; NaN below zero.", lower_kernel<Unary::kSqrt>),
    unary("Exp", "Exponential.", lower_kernel<Unary::kExp>),
    unary("Log", "Natural logarithm.", lower_kernel<Unary::kLog>),
    unary("Reciprocal", "1 / x.", lower_kernel<Unary::kReciprocal>),
    unary("Floor", "The largest integer that is not above x.", lower_kernel<Unary::kFloor>),
    unary("Ceil", "The smallest integer that is not below x.", lower_kernel<Unary::kCeil>),
    unary("Round", "The nearest integer, halves to the even one.", lower_kernel<Unary::kRound>),
    unary("Sin", "Sine of radians.", lower_library<std::sin, std::sin>),
    unary("Cos", "Cosine of radians.", lower_library<std::cos, std::cos>),
    unary("Tan", "Tangent of radians.", lower_library<std::tan, std::tan>),
    unary("Asin", "Arc sine.", lower_library<std::asin, std::asin>),
    unary("Acos", "Arc cosine.", lower_library<std::acos, std::acos>),
    unary("Atan", "Arc tangent.", lower_library<std::atan, std::atan>),
    unary("Sinh", "Hyperbolic sine.", lower_library<std::sinh, std::sinh>),
    unary("Cosh", "Hyperbolic cosine.", lower_library<std::cosh, std::cosh>),
    unary("Asinh", "Inverse hyperbolic sine.", lower_library<std::asinh, std::asinh>),
    unary("Acosh", "Inverse hyperbolic cosine.", lower_library<std::acosh, std::acosh>),
    unary("Atanh", "Inverse hyperbolic tangent.", lower_library<std::atanh, std::atanh>),
    unary("Not", "Negation of bool.", lower_not, infer_map<kBools>),
    unary("BitwiseNot", "Every bit inverted.", lower_bitwise_not, infer_map<kIntegers>),
    {.name = "IsNaN",
     .doc = "Whether x is not a number.",
     .infer = infer_test,
     .lower = lower_is_nan,
     .layout = LayoutRule::kFollow},
    {.name = "IsInf",
     .doc = "Whether x is infinite.",
     .attributes = kIsInfAttrs,
     .infer = infer_test,
     .lower = lower_is_inf,
     .layout = LayoutRule::kFollow},
};

}  // namespace

extern const OpTable unary_ops;
const OpTable unary_ops = {kOps};

}  // namespace lanewise
