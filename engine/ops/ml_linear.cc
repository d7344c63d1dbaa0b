// LinearClassifier and LinearRegressor of ai.onnx.ml.
#include <algorithm>
#include <utility>

#include "engine/ops/ml.h"

namespace lanewise {
namespace {

// coefficients[target][feature] and an intercept for each target.
struct Weights {
  std::vector<float> coefficients, intercepts;
  std::int64_t targets = 0;

  std::vector<float> scores(const double* x, std::int64_t columns) const {
    std::vector<float> result;
    for (std::int64_t t = 0; t < targets; ++t) {
      double sum = intercepts.empty() ? 0.0 : intercepts[static_cast<std::size_t>(t)];
      for (std::int64_t i = 0; i < columns; ++i) {
        sum += x[i] * coefficients[static_cast<std::size_t>(t * columns + i)];
      }
      result.push_back(static_cast<float>(sum));
    }
    return result;
  }
};

// `targets` < 1: as many as the coefficients make up.
Weights weights_of(const OpContext& c, std::int64_t targets) {
  const std::int64_t columns = ml::expect_rows(c).columns;
  Weights weights{c.attr_floats("coefficients"), c.attr_floats("intercepts"), targets};
  const auto given = static_cast<std::int64_t>(weights.coefficients.size());
  if (targets < 1) weights.targets = columns == 0 ? 0 : given / columns;
  if (weights.targets < 1 || weights.targets > given || weights.targets * columns != given) {
    c.fail("attribute 'coefficients' has " + std::to_string(given) + " entries, expected " +
           (targets < 1 ? "a multiple of " : std::to_string(targets) + " times ") +
           std::to_string(columns) + ", the number of features");
  }
  if (!weights.intercepts.empty() &&
      static_cast<std::int64_t>(weights.intercepts.size()) != weights.targets) {
    c.fail("attribute 'intercepts' has " + std::to_string(weights.intercepts.size()) +
           " entries, expected " + std::to_string(weights.targets));
  }
  return weights;
}

// How many scores a row has: one for each target, or for each of two classes.
std::int64_t score_count(const Weights& weights, const ml::Labels& labels) {
  return weights.targets == 1 && labels.size() == 2 ? 2 : weights.targets;
}

ml::Labels labels_of(const OpContext& c) {
  return ml::labels_of(c, "classlabels_ints", "classlabels_strings");
}

void infer_classifier(InferContext& c) {
  const ml::Labels labels = labels_of(c);
  const Weights weights = weights_of(c, 0);
  const auto count = static_cast<std::int64_t>(labels.size());
  if (score_count(weights, labels) != count) {
    c.fail("there are " + std::to_string(count) + " class labels and coefficients for " +
           std::to_string(weights.targets) + " classes; give as many, or two labels for one class");
  }
  (void)ml::transform_of(c);
  const std::int64_t rows = ml::expect_rows(c).rows;
  c.set_output(0, labels.dtype(), {rows});
  c.set_output(1, DType::kFloat32, {rows, count});
}

Step lower_classifier(LowerContext& c) {
  Step step;
  step.algorithm = "linear";
  step.run = [labels = labels_of(c), weights = weights_of(c, 0), rows = ml::expect_rows(c),
              dtype = c.dtype(0), transform = ml::transform_of(c)](const RunContext& run) {
    const std::int64_t count = score_count(weights, labels);
    ml::for_rows(run, dtype, rows, [&](std::int64_t row, const double* x) {
      std::vector<float> scores = weights.scores(x, rows.columns);
      const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
      const bool one = scores.size() == 1;
      labels.put(run, row,
                 one ? (count == 2 && scores[0] > 0 ? 1 : 0) : static_cast<std::size_t>(best));
      if (!run.has_out(1)) return;
      ml::write_scores(scores, transform, ml::Second::kComplement,
                       {run.out<float>(1) + row * count, static_cast<std::size_t>(count)});
    });
  };
  return step;
}

void infer_regressor(InferContext& c) {
  const std::int64_t targets = c.attr_int("targets");
  if (targets < 1) {
    c.fail("attribute 'targets' is " + std::to_string(targets) + ", expected 1 or more");
  }
  (void)weights_of(c, targets);
  (void)ml::transform_of(c);
  c.set_output(0, DType::kFloat32, {ml::expect_rows(c).rows, targets});
}

Step lower_regressor(LowerContext& c) {
  Step step;
  step.algorithm = "linear";
  step.run = [weights = weights_of(c, c.attr_int("targets")), rows = ml::expect_rows(c),
              dtype = c.dtype(0), transform = ml::transform_of(c)](const RunContext& run) {
    ml::for_rows(run, dtype, rows, [&](std::int64_t row, const double* x) {
      std::vector<float> scores = weights.scores(x, rows.columns);
      ml::transform_scores(transform, scores);
      std::copy(scores.begin(), scores.end(), run.out<float>(0) + row * weights.targets);
    });
  };
  return step;
}

constexpr AttrDef kCoefficients = {
    .name = "coefficients", .type = AttrType::kFloats, .doc = "weights, target by target"};
constexpr AttrDef kIntercepts = {
    .name = "intercepts", .type = AttrType::kFloats, .doc = "added to the scores; 0 if absent"};
constexpr AttrDef kClassifierAttrs[] = {
    kCoefficients,
    kIntercepts,
    ml::kPostTransform,
    {.name = "classlabels_ints", .type = AttrType::kInts, .doc = "labels, or"},
    {.name = "classlabels_strings", .type = AttrType::kStrings, .doc = "labels as texts"},
    {.name = "multi_class", .type = AttrType::kInt, .doc = "not used"},
};
constexpr AttrDef kRegressorAttrs[] = {
    kCoefficients,
    kIntercepts,
    ml::kPostTransform,
    {.name = "targets",
     .type = AttrType::kInt,
     .doc = "number of outputs per row",
     .int_default = 1},
};

double linear_flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const ml::Rows rows = ml::expect_rows(c);
  const ValueInfo& scores = outputs.back();
  const double targets = scores.shape.rank() == 2 ? static_cast<double>(scores.shape[1]) : 1.0;
  return 2.0 * static_cast<double>(rows.rows) * static_cast<double>(rows.columns) * targets;
}

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "LinearClassifier",
     .doc = "The class of the largest linear score, and the scores.",
     .max_outputs = 2,
     .attributes = kClassifierAttrs,
     .infer = infer_classifier,
     .lower = lower_classifier,
     .flops = linear_flops},
    {.domain = ml::kDomain,
     .name = "LinearRegressor",
     .doc = "Linear functions of each row.",
     .attributes = kRegressorAttrs,
     .infer = infer_regressor,
     .lower = lower_regressor,
     .flops = linear_flops},
};

}  // namespace

extern const OpTable ml_linear_ops;
const OpTable ml_linear_ops = {kOps};

}  // namespace lanewise
