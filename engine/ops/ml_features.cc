// Operators of ai.onnx.ml that prepare features: Scaler, Normalizer, Imputer, Binarizer,
// FeatureVectorizer, ArrayFeatureExtractor.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/base/error.h"
#include "engine/cpu/elements.h"
#include "engine/ops/ml.h"

namespace lanewise {
namespace {

void expect_numbers(const OpContext& c, int i) {
  c.expect_dtype(i, {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64});
}

// Entries that a list has for each feature: the last dimension. Fails unless the list has one
// entry, or as many.
template <class T>
void expect_features(const OpContext& c, std::string_view name, const std::vector<T>& list) {
  const Shape& shape = c.shape(0);
  const std::int64_t features = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  if (list.size() == 1 || static_cast<std::int64_t>(list.size()) == features) return;
  c.fail("attribute '" + std::string(name) + "' has " + std::to_string(list.size()) +
         " entries, expected 1 or " + std::to_string(features) + ", one for each feature");
}

void infer_scaler(InferContext& c) {
  expect_numbers(c, 0);
  expect_features(c, "scale", c.attr_floats("scale"));
  expect_features(c, "offset", c.attr_floats("offset"));
  c.set_output(0, DType::kFloat32, c.shape(0));
}

Step lower_scaler(LowerContext& c) {
  Step step;
  step.algorithm = "map";
  step.run = [n = c.shape(0).elements(), dtype = c.dtype(0), scale = c.attr_floats("scale"),
              offset = c.attr_floats("offset")](const RunContext& run) {
    visit_number(dtype, [&]<class T>(std::type_identity<T>) {
      using Wide = std::conditional_t<std::is_same_v<T, float>, float, double>;
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto x = static_cast<Wide>(run.in<T>(0)[i]);
        const Wide y = (x - offset[at % offset.size()]) * scale[at % scale.size()];
        run.out<float>(0)[i] = static_cast<float>(y);
      }
    });
  };
  return step;
}

enum class Norm : std::uint8_t { kMax, kL1, kL2 };

Norm norm_of(const OpContext& c) {
  const std::string_view name = c.attr_string("norm");
  if (name == "MAX") return Norm::kMax;
  if (name == "L1") return Norm::kL1;
  if (name == "L2") return Norm::kL2;
  c.fail("attribute 'norm' is '" + std::string(name) + "', expected MAX, L1 or L2");
}

void infer_normalizer(InferContext& c) {
  (void)ml::expect_rows(c);
  (void)norm_of(c);
  c.set_output(0, DType::kFloat32, c.shape(0));
}

double norm(Norm kind, const double* x, std::int64_t n) {
  double result = kind == Norm::kMax ? -std::numeric_limits<double>::infinity() : 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    switch (kind) {
      case Norm::kMax: result = std::max(result, x[i]); break;
      case Norm::kL1: result += std::abs(x[i]); break;
      case Norm::kL2: result += x[i] * x[i]; break;
    }
  }
  return kind == Norm::kL2 ? std::sqrt(result) : result;
}

Step lower_normalizer(LowerContext& c) {
  Step step;
  step.algorithm = "rows";
  step.run = [rows = ml::expect_rows(c), dtype = c.dtype(0),
              kind = norm_of(c)](const RunContext& run) {
    ml::for_rows(run, dtype, rows, [&](std::int64_t row, const double* x) {
      const double divisor = norm(kind, x, rows.columns);
      float* out = run.out<float>(0) + row * rows.columns;
      for (std::int64_t i = 0; i < rows.columns; ++i) {
        out[i] = static_cast<float>(divisor == 0 ? x[i] : x[i] / divisor);
      }
    });
  };
  return step;
}

bool imputes_floats(const OpContext& c) {
  return c.dtype(0) == DType::kFloat32 || c.dtype(0) == DType::kFloat64;
}

void infer_imputer(InferContext& c) {
  expect_numbers(c, 0);
  if (imputes_floats(c)) {
    expect_features(c, "imputed_value_floats", c.attr_floats("imputed_value_floats"));
  } else {
    expect_features(c, "imputed_value_int64s", c.attr_ints("imputed_value_int64s"));
  }
  c.set_output(0, c.dtype(0), c.shape(0));
}

// y = x with what equals `old` (or is NaN, when that is) replaced by the feature's value.
template <class T, class V>
void impute(const T* x, T* y, std::int64_t n, V old, const std::vector<V>& values) {
  for (std::int64_t i = 0; i < n; ++i) {
    const bool match = x[i] == static_cast<T>(old) || (old != old && x[i] != x[i]);
    y[i] = match ? static_cast<T>(values[static_cast<std::size_t>(i) % values.size()]) : x[i];
  }
}

Step lower_imputer(LowerContext& c) {
  Step step;
  step.algorithm = "map";
  step.run = [n = c.shape(0).elements(), dtype = c.dtype(0),
              floats = c.attr_floats("imputed_value_floats"),
              ints = c.attr_ints("imputed_value_int64s"),
              old_float = c.attr_float("replaced_value_float"),
              old_int = c.attr_int("replaced_value_int64")](const RunContext& run) {
    visit_number(dtype, [&]<class T>(std::type_identity<T>) {
      if constexpr (std::is_floating_point_v<T>) {
        impute(run.in<T>(0), run.out<T>(0), n, old_float, floats);
      } else {
        impute(run.in<T>(0), run.out<T>(0), n, old_int, ints);
      }
    });
  };
  return step;
}

void infer_binarizer(InferContext& c) {
  expect_numbers(c, 0);
  c.set_output(0, c.dtype(0), c.shape(0));
}

Step lower_binarizer(LowerContext& c) {
  Step step;
  step.algorithm = "map";
  step.run = [n = c.shape(0).elements(), dtype = c.dtype(0),
              threshold = c.attr_float("threshold")](const RunContext& run) {
    visit_number(dtype, [&]<class T>(std::type_identity<T>) {
      for (std::int64_t i = 0; i < n; ++i) {
        run.out<T>(0)[i] = static_cast<T>(static_cast<double>(run.in<T>(0)[i]) > threshold);
      }
    });
  };
  return step;
}

// The matrix that input i is, a vector being one row.
ml::Rows matrix(const OpContext& c, int i) {
  c.expect_rank(i, 1, 2);
  const Shape& shape = c.shape(i);
  return shape.rank() == 1 ? ml::Rows{1, shape[0]} : ml::Rows{shape[0], shape[1]};
}

// Columns that input i gives to the output.
std::int64_t vectorized_columns(const OpContext& c, int i) {
  const std::vector<std::int64_t> given = c.attr_ints("inputdimensions");
  return given.empty() ? matrix(c, i).columns : given[static_cast<std::size_t>(i)];
}

void infer_vectorizer(InferContext& c) {
  const std::vector<std::int64_t> given = c.attr_ints("inputdimensions");
  if (!given.empty() && static_cast<int>(given.size()) != c.num_inputs()) {
    c.fail("attribute 'inputdimensions' has " + std::to_string(given.size()) +
           " entries, expected one for each of " + std::to_string(c.num_inputs()) + " inputs");
  }
  std::int64_t columns = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    expect_numbers(c, i);
    if (matrix(c, i).rows != matrix(c, 0).rows) {
      c.fail("inputs must have one number of rows, found " + c.shape(0).str() + " and " +
             c.shape(i).str());
    }
    const std::int64_t own = vectorized_columns(c, i);
    if (own < 0 || own > std::int64_t{1} << 40) {
      c.fail("attribute 'inputdimensions' has " + std::to_string(own));
    }
    columns += own;
  }
  c.set_output(0, DType::kFloat32, {matrix(c, 0).rows, columns});
}

Step lower_vectorizer(LowerContext& c) {
  struct Part {
    DType dtype;
    std::int64_t columns, wanted;
  };
  std::vector<Part> parts;
  for (int i = 0; i < c.num_inputs(); ++i) {
    parts.push_back({c.dtype(i), matrix(c, i).columns, vectorized_columns(c, i)});
  }
  Step step;
  step.algorithm = "copy";
  step.run = [parts = std::move(parts), rows = c.out_shape(0)[0],
              width = c.out_shape(0)[1]](const RunContext& run) {
    float* to = run.out<float>(0);
    std::fill_n(to, rows * width, 0.0f);  // an input narrower than its place
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Part& part = parts[i];
      const std::int64_t count = std::min(part.columns, part.wanted);
      visit_number(part.dtype, [&]<class T>(std::type_identity<T>) {
        const T* from = run.in<T>(static_cast<int>(i));
        for (std::int64_t row = 0; row < rows; ++row) {
          for (std::int64_t j = 0; j < count; ++j) {
            to[row * width + j] = static_cast<float>(from[row * part.columns + j]);
          }
        }
      });
      to += part.wanted;
    }
  };
  return step;
}

void infer_extractor(InferContext& c) {
  c.expect_dtype(1, {DType::kInt64});
  const Shape& shape = c.shape(0);
  if (shape.rank() == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  Shape out = shape;
  out[shape.rank() - 1] = c.shape(1).elements();
  if (shape.rank() == 1) out = Shape{1, c.shape(1).elements()};
  c.set_output(0, c.dtype(0), std::move(out));
}

Step lower_extractor(LowerContext& c) {
  const Shape& shape = c.shape(0);
  const std::int64_t columns = shape[shape.rank() - 1];
  Step step;
  step.algorithm = "gather";
  step.run = [columns, rows = shape.elements(0, shape.rank() - 1), dtype = c.dtype(0),
              picked = c.shape(1).elements(), where = c.where()](const RunContext& run) {
    const auto* indices = run.in<std::int64_t>(1);
    for (std::int64_t i = 0; i < picked; ++i) {
      if (indices[i] < 0 || indices[i] >= columns) {
        throw ModelError(where + "index " + std::to_string(indices[i]) +
                         " is outside the last dimension of " + std::to_string(columns));
      }
    }
    visit_element(dtype, [&]<class T>(std::type_identity<T>) {
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t i = 0; i < picked; ++i) {
          run.out<T>(0)[row * picked + i] = run.in<T>(0)[row * columns + indices[i]];
        }
      }
    });
  };
  return step;
}

constexpr AttrDef kScalerAttrs[] = {
    {.name = "scale", .type = AttrType::kFloats, .doc = "multiplied then", .required = true},
    {.name = "offset", .type = AttrType::kFloats, .doc = "subtracted first", .required = true}};
constexpr AttrDef kNormalizerAttrs[] = {
    {.name = "norm", .type = AttrType::kString, .doc = "MAX, L1 or L2", .string_default = "MAX"}};
constexpr AttrDef kImputerAttrs[] = {
    {.name = "imputed_value_floats", .type = AttrType::kFloats, .doc = "what floats become"},
    {.name = "replaced_value_float", .type = AttrType::kFloat, .doc = "which floats"},
    {.name = "imputed_value_int64s", .type = AttrType::kInts, .doc = "what integers become"},
    {.name = "replaced_value_int64", .type = AttrType::kInt, .doc = "which integers"}};
constexpr AttrDef kBinarizerAttrs[] = {
    {.name = "threshold", .type = AttrType::kFloat, .doc = "values above it become 1"}};
constexpr AttrDef kVectorizerAttrs[] = {{.name = "inputdimensions",
                                         .type = AttrType::kInts,
                                         .doc = "columns of each input; its own if absent"}};

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "Scaler",
     .doc = "(x - offset) * scale by feature.",
     .attributes = kScalerAttrs,
     .infer = infer_scaler,
     .lower = lower_scaler},
    {.domain = ml::kDomain,
     .name = "Normalizer",
     .doc = "Each row divided by its norm.",
     .attributes = kNormalizerAttrs,
     .infer = infer_normalizer,
     .lower = lower_normalizer},
    {.domain = ml::kDomain,
     .name = "Imputer",
     .doc = "One value replaced by another, by feature.",
     .attributes = kImputerAttrs,
     .infer = infer_imputer,
     .lower = lower_imputer},
    {.domain = ml::kDomain,
     .name = "Binarizer",
     .doc = "1 above a threshold, else 0.",
     .attributes = kBinarizerAttrs,
     .infer = infer_binarizer,
     .lower = lower_binarizer},
    {.domain = ml::kDomain,
     .name = "FeatureVectorizer",
     .doc = "Matrices side by side, as float32.",
     .max_inputs = -1,
     .attributes = kVectorizerAttrs,
     .infer = infer_vectorizer,
     .lower = lower_vectorizer},
    {.domain = ml::kDomain,
     .name = "ArrayFeatureExtractor",
     .doc = "Columns of the last dimension.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_extractor,
     .lower = lower_extractor,
     .flops = no_flops},
};

}  // namespace

extern const OpTable ml_features_ops;
const OpTable ml_features_ops = {kOps};

}  // namespace lanewise
