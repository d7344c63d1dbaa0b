// Random numbers: RandomUniform, RandomNormal, their Like forms, Bernoulli, Multinomial. A seed
// gives the numbers of NumPy's RandomState, as ONNX's reference does; without one they differ from
// run to run.
#include <cmath>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/random_source.h"
#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

struct Seed {
  bool given = false;
  std::uint32_t value = 0;

  RandomSource source() const { return RandomSource(given ? value : std::random_device{}()); }
};

Seed seed_of(const OpContext& c) {
  if (!c.has_attr("seed") || std::isnan(c.attr_float("seed"))) return {};
  return {true, static_cast<std::uint32_t>(
                    saturate_cast<std::int64_t>(static_cast<double>(c.attr_float("seed"))))};
}

// The attribute's element type, or `fallback` when it is absent.
DType dtype_or(const OpContext& c, DType fallback) {
  if (!c.has_attr("dtype")) return fallback;
  const std::int64_t code = c.attr_int("dtype");
  if (!is_dtype(code)) {
    c.fail("attribute 'dtype' is " + std::to_string(code) + ", expected a TensorProto data type");
  }
  return static_cast<DType>(code);
}

DType float_dtype(const OpContext& c, DType fallback) {
  const DType dtype = dtype_or(c, fallback);
  if (!is_floating(dtype)) {
    c.fail("the output must be of a float type, found " + std::string(dtype_name(dtype)) +
           "; set the attribute 'dtype'");
  }
  return dtype;
}

void infer_from_shape(InferContext& c) {
  const Shape shape(c.attr_ints("shape"));
  for (std::int64_t dim : shape) {
    if (dim < 0) {
      c.fail("attribute 'shape' has the size " + std::to_string(dim) + ", expected 0 or more");
    }
  }
  static_cast<void>(shape.elements());
  c.set_output(0, float_dtype(c, DType::kFloat32), shape);
}

void infer_like(InferContext& c) {
  c.set_exact_output(0, float_dtype(c, c.stored_dtype(0)), c.shape(0));
}

// draw() * scale + shift, in the output's arithmetic.
template <class Draw>
Step random_step(const LowerContext& c, double scale, double shift, Draw draw) {
  Step step;
  step.algorithm = "random";
  step.run = [=, seed = seed_of(c), dtype = c.output(0).dtype,
              elements = c.out_shape(0).elements()](const RunContext& run) {
    RandomSource source = seed.source();
    const auto fill = [&]<class T>(T* out) {
      for (std::int64_t i = 0; i < elements; ++i) {
        out[i] = static_cast<T>(draw(source)) * static_cast<T>(scale) + static_cast<T>(shift);
      }
    };
    dtype == DType::kFloat64 ? fill(run.out<double>(0)) : fill(run.out<float>(0));
  };
  return step;
}

Step lower_uniform(LowerContext& c) {
  const double low = static_cast<double>(c.attr_float("low")),
               high = static_cast<double>(c.attr_float("high"));
  return random_step(c, high - low, low, [](RandomSource& source) { return source.uniform(); });
}

Step lower_normal(LowerContext& c) {
  return random_step(c, static_cast<double>(c.attr_float("scale")),
                     static_cast<double>(c.attr_float("mean")),
                     [](RandomSource& source) { return source.normal(); });
}

void infer_bernoulli(InferContext& c) {
  expect_types(c, 0, kFloats);
  const DType dtype = dtype_or(c, c.stored_dtype(0));
  if (!visit_scalar(dtype, [](auto) {})) {
    c.fail("the output must be of a number type, found " + std::string(dtype_name(dtype)));
  }
  c.set_exact_output(0, dtype, c.shape(0));
}

Step lower_bernoulli(LowerContext& c) {
  Step step;
  step.algorithm = "random";
  step.run = [seed = seed_of(c), from = c.dtype(0), to = c.output(0).dtype,
              elements = c.shape(0).elements(), where = c.where()](const RunContext& run) {
    RandomSource source = seed.source();
    visit_scalar(to, [&]<class To>(std::type_identity<To>) {
      for (std::int64_t i = 0; i < elements; ++i) {
        const double p = from == DType::kFloat64 ? run.in<double>(0)[i]
                                                 : static_cast<double>(run.in<float>(0)[i]);
        if (!(p >= 0.0 && p <= 1.0)) {
          throw ModelError(where + "the probability " + std::to_string(p) + " at element " +
                           std::to_string(i) + " is not between 0 and 1");
        }
        run.out<To>(0)[i] = static_cast<To>(source.bernoulli(p) ? 1.0f : 0.0f);
      }
    });
  };
  return step;
}

void infer_multinomial(InferContext& c) {
  expect_types(c, 0, kFloats);
  c.expect_rank(0, 2, 2);
  const std::int64_t samples = c.attr_int("sample_size");
  if (samples < 1) {
    c.fail("attribute 'sample_size' is " + std::to_string(samples) + ", expected 1 or more");
  }
  const DType dtype = dtype_or(c, DType::kInt32);
  if (dtype != DType::kInt32 && dtype != DType::kInt64) {
    c.fail("attribute 'dtype' must be int32 or int64, found " + std::string(dtype_name(dtype)));
  }
  if (c.shape(0)[1] == 0 && c.shape(0)[0] != 0) c.fail("there are no classes to draw from");
  c.set_output(0, dtype, Shape{c.shape(0)[0], samples});
}

// Cumulated probabilities of one row of log-probabilities, not normalised.
template <class T>
void cumulate(const T* row, std::vector<double>& sums) {
  double most = -std::numeric_limits<double>::infinity(), total = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) most = std::max(most, static_cast<double>(row[i]));
  for (std::size_t i = 0; i < sums.size(); ++i) {
    total += std::exp(static_cast<double>(row[i]) - most);
    sums[i] = total;
  }
}

Step lower_multinomial(LowerContext& c) {
  Step step;
  step.algorithm = "random";
  step.run = [seed = seed_of(c), wide = c.dtype(0) == DType::kFloat64, to = c.output(0).dtype,
              shape = c.shape(0), samples = c.out_shape(0)[1],
              where = c.where()](const RunContext& run) {
    RandomSource source = seed.source();
    std::vector<double> sums(static_cast<std::size_t>(shape[1]));
    for (std::int64_t row = 0; row < shape[0]; ++row) {
      wide ? cumulate(run.in<double>(0) + row * shape[1], sums)
           : cumulate(run.in<float>(0) + row * shape[1], sums);
      if (!(sums.back() > 0.0) || std::isinf(sums.back())) {
        throw ModelError(where + "row " + std::to_string(row) + " has no finite log-probability");
      }
      for (std::int64_t i = row * samples; i < (row + 1) * samples; ++i) {
        const double drawn = source.uniform() * sums.back();
        const auto at = std::upper_bound(sums.begin(), sums.end(), drawn) - sums.begin();
        const std::int64_t index = std::min<std::int64_t>(at, shape[1] - 1);
        if (to == DType::kInt64)
          run.out<std::int64_t>(0)[i] = index;
        else
          run.out<std::int32_t>(0)[i] = static_cast<std::int32_t>(index);
      }
    }
  };
  return step;
}

constexpr AttrDef kSeed = {.name = "seed",
                           .type = AttrType::kFloat,
                           .doc = "of the generator; optional, another each run"};
constexpr AttrDef kDtype = {
    .name = "dtype",
    .type = AttrType::kInt,
    .doc = "type of the output; optional, that of the input, or float32 (int32 of Multinomial)"};
constexpr AttrDef kShape = {
    .name = "shape", .type = AttrType::kInts, .doc = "shape of the output", .required = true};
constexpr AttrDef kLow = {.name = "low", .type = AttrType::kFloat, .doc = "least value"};
constexpr AttrDef kHigh = {.name = "high",
                           .type = AttrType::kFloat,
                           .doc = "end of the range, outside it",
                           .float_default = 1.0f};
constexpr AttrDef kMean = {.name = "mean", .type = AttrType::kFloat, .doc = "of the distribution"};
constexpr AttrDef kScale = {
    .name = "scale", .type = AttrType::kFloat, .doc = "standard deviation", .float_default = 1.0f};

constexpr AttrDef kUniformAttrs[] = {kDtype, kHigh, kLow, kSeed, kShape};
constexpr AttrDef kUniformLikeAttrs[] = {kDtype, kHigh, kLow, kSeed};
constexpr AttrDef kNormalAttrs[] = {kDtype, kMean, kScale, kSeed, kShape};
constexpr AttrDef kNormalLikeAttrs[] = {kDtype, kMean, kScale, kSeed};
constexpr AttrDef kBernoulliAttrs[] = {kDtype, kSeed};
constexpr AttrDef kMultinomialAttrs[] = {kDtype,
                                         {.name = "sample_size",
                                          .type = AttrType::kInt,
                                          .doc = "how many are drawn from each row",
                                          .int_default = 1},
                                         kSeed};

constexpr OpDef random_op(std::string_view name, std::string_view doc, int inputs,
                          std::span<const AttrDef> attributes, void (*infer)(InferContext&),
                          Step (*lower)(LowerContext&)) {
  return {.name = name,
          .doc = doc,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .attributes = attributes,
          .infer = infer,
          .lower = lower,
          .impure = true};
}

constexpr OpDef kOps[] = {
    random_op("RandomUniform", "Numbers spread evenly over a range.", 0, kUniformAttrs,
              infer_from_shape, lower_uniform),
    random_op("RandomUniformLike", "Numbers spread evenly over a range, in the input's shape.", 1,
              kUniformLikeAttrs, infer_like, lower_uniform),
    random_op("RandomNormal", "Numbers from a normal distribution.", 0, kNormalAttrs,
              infer_from_shape, lower_normal),
    random_op("RandomNormalLike", "Numbers from a normal distribution, in the input's shape.", 1,
              kNormalLikeAttrs, infer_like, lower_normal),
    random_op("Bernoulli", "1 with the probability that the input gives, else 0.", 1,
              kBernoulliAttrs, infer_bernoulli, lower_bernoulli),
    random_op("Multinomial", "Classes drawn by their log-probabilities.", 1, kMultinomialAttrs,
              infer_multinomial, lower_multinomial),
};

}  // namespace

extern const OpTable random_ops;
const OpTable random_ops = {kOps};

}  // namespace lanewise
