// Constants of signal processing: HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix.
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

DType output_type(const OpContext& c) {
  const std::int64_t code = c.attr_int("output_datatype");
  if (!is_dtype(code) || code == static_cast<std::int64_t>(DType::kBool) ||
      !visit_scalar(static_cast<DType>(code), [](auto) {})) {
    c.fail("attribute 'output_datatype' is " + std::to_string(code) +
           ", expected the code of a number type");
  }
  return static_cast<DType>(code);
}

// The one value of input i, an integer in [least, 2^40].
std::int64_t need_size(const InferContext& c, int i, std::int64_t least) {
  c.expect_dtype(i, {DType::kInt32, DType::kInt64});
  if (c.shape(i).elements() != 1) {
    c.fail("input " + std::to_string(i) + " must be a scalar, found shape " + c.shape(i).str());
  }
  const std::int64_t value = c.need_ints(i)[0];
  if (value < least || value > std::int64_t{1} << 40) {
    c.fail("input " + std::to_string(i) + " is " + std::to_string(value) + ", expected " +
           std::to_string(least) + " or more");
  }
  return value;
}

// Values computed in float64, converted once.
void write_values(const std::vector<double>& values, DType dtype, void* out) {
  visit_scalar(dtype, [&]<class T>(std::type_identity<T>) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
        static_cast<T*>(out)[i] = saturate_cast<T>(values[i]);
      else
        static_cast<T*>(out)[i] = T(static_cast<float>(values[i]));
    }
  });
}

void infer_window(InferContext& c) { c.set_output(0, output_type(c), Shape{need_size(c, 0, 0)}); }

// a - b cos(t) + d cos(2t) over one period; of a symmetric window the last sample ends it.
template <int kind>
double window_value(double t) {
  constexpr double kCoefficients[][3] = {
      {0.5, 0.5, 0.0}, {25.0 / 46.0, 21.0 / 46.0, 0.0}, {0.42, 0.5, 0.08}};
  const double* k = kCoefficients[kind];
  return k[0] - k[1] * std::cos(t) + k[2] * std::cos(2.0 * t);
}

template <int kind>
Step lower_window(LowerContext& c) {
  Step step;
  step.algorithm = "constant";
  step.run = [dtype = c.output(0).dtype, size = c.out_shape(0)[0],
              periodic = c.attr_int("periodic") != 0](const RunContext& run) {
    const double period = static_cast<double>(periodic ? size : size - 1);
    std::vector<double> values(static_cast<std::size_t>(size), 1.0);
    for (std::size_t i = 0; i < values.size() && period > 0; ++i) {
      values[i] = window_value<kind>(2.0 * std::numbers::pi * static_cast<double>(i) / period);
    }
    write_values(values, dtype, run.outputs[0]);
  };
  return step;
}

double scalar_of(DType dtype, const void* data) {
  double value = 0;
  visit_scalar(dtype, [&]<class T>(std::type_identity<T>) {
    value = static_cast<double>(*static_cast<const T*>(data));
  });
  return value;
}

void infer_mel(InferContext& c) {
  const std::int64_t bands = need_size(c, 0, 0), length = need_size(c, 1, 1);
  static_cast<void>(need_size(c, 2, 1));
  for (int i = 3; i < 5; ++i) {
    expect_types(c, i, kFloats);
    if (c.shape(i).elements() != 1) {
      c.fail("input " + std::to_string(i) + " must be a scalar, found shape " + c.shape(i).str());
    }
    static_cast<void>(c.need(i));
  }
  const Shape out{length / 2 + 1, bands};
  static_cast<void>(out.elements());
  c.set_output(0, output_type(c), out);
}

struct MelPlan {
  std::int64_t bands = 0, bins = 0;
  std::vector<std::int64_t> edges;  // bin of each band's lower edge, then of the last two edges
};

MelPlan plan_mel(const LowerContext& c) {
  const auto number = [&](int i) { return scalar_of(c.dtype(i), c.content(i)->data()); };
  const auto to_mel = [](double hertz) { return 2595.0 * std::log10(1.0 + hertz / 700.0); };
  MelPlan plan;
  plan.bins = c.out_shape(0)[0];
  plan.bands = c.out_shape(0)[1];
  const double low = to_mel(number(3)), high = to_mel(number(4));
  const double step = (high - low) / static_cast<double>(plan.bands + 2);
  for (std::int64_t i = 0; i < plan.bands + 2; ++i) {
    const double mel = static_cast<double>(i) * step + low;
    const double hertz = 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0);
    const double bin = std::floor((number(1) + 1.0) * hertz / number(2));
    if (!(bin >= 0.0 && bin < static_cast<double>(plan.bins))) {
      c.fail("the band edges " + std::to_string(number(3)) + " and " + std::to_string(number(4)) +
             " Hz must lie between 0 and half the sample rate");
    }
    plan.edges.push_back(static_cast<std::int64_t>(bin));
  }
  return plan;
}

// Triangles over the bins of each band, 1 at its centre.
std::vector<double> mel_values(const MelPlan& plan) {
  std::vector<double> values(static_cast<std::size_t>(plan.bins * plan.bands), 0.0);
  for (std::int64_t band = 0; band < plan.bands; ++band) {
    const auto edge = plan.edges.begin() + band;
    const auto at = [&](std::int64_t bin) -> double& {
      return values[static_cast<std::size_t>(bin * plan.bands + band)];
    };
    const std::int64_t low = edge[0], centre = edge[1], high = edge[2];
    for (std::int64_t bin = low; bin < centre; ++bin) {
      at(bin) = static_cast<double>(bin - low) / static_cast<double>(centre - low);
    }
    at(centre) = 1.0;
    for (std::int64_t bin = centre; bin < high; ++bin) {
      at(bin) = static_cast<double>(high - bin) / static_cast<double>(high - centre);
    }
  }
  return values;
}

Step lower_mel(LowerContext& c) {
  Step step;
  step.algorithm = "constant";
  step.run = [dtype = c.output(0).dtype, values = mel_values(plan_mel(c))](const RunContext& run) {
    write_values(values, dtype, run.outputs[0]);
  };
  return step;
}

constexpr AttrDef kOutputType = {.name = "output_datatype",
                                 .type = AttrType::kInt,
                                 .doc = "element type of the result",
                                 .int_default = 1};
constexpr AttrDef kWindowAttrs[] = {
    kOutputType,
    {.name = "periodic",
     .type = AttrType::kInt,
     .doc = "1: the window of size + 1 without its last sample; 0: symmetric",
     .int_default = 1}};
constexpr AttrDef kMelAttrs[] = {kOutputType};

constexpr OpDef window_op(std::string_view name, std::string_view doc,
                          Step (*lower)(LowerContext&)) {
  return {.name = name,
          .doc = doc,
          .attributes = kWindowAttrs,
          .infer = infer_window,
          .lower = lower,
          .any_float = true,
          .flops = no_flops};
}

constexpr OpDef kOps[] = {
    window_op("HannWindow", "A raised cosine.", lower_window<0>),
    window_op("HammingWindow", "A raised cosine on a pedestal, 25/46 - 21/46 cos.",
              lower_window<1>),
    window_op("BlackmanWindow", "0.42 - 0.5 cos + 0.08 cos of twice the angle.", lower_window<2>),
    {.name = "MelWeightMatrix",
     .doc = "Triangular filters over the bins of a spectrum, evenly spaced on the mel scale.",
     .min_inputs = 5,
     .max_inputs = 5,
     .attributes = kMelAttrs,
     .infer = infer_mel,
     .lower = lower_mel,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable signal_windows_ops;
const OpTable signal_windows_ops = {kOps};

}  // namespace lanewise
