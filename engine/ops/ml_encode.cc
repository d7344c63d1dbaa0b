// Values looked up in tables: LabelEncoder, CategoryMapper and OneHotEncoder of ai.onnx.ml.
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "engine/base/error.h"
#include "engine/cpu/elements.h"
#include "engine/ops/ml.h"

namespace lanewise {
namespace {

// Position of each key of a list; the last of equal ones. NaN finds NaN.
class Positions {
 public:
  explicit Positions(const Tensor& keys) {
    if (keys.dtype() == DType::kString) {
      for (std::int64_t i = 0; i < keys.elements(); ++i) texts_[keys.as<std::string>()[i]] = i;
    } else if (is_floating(keys.dtype())) {
      const std::vector<double> values = keys.float_values();
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        if (std::isnan(values[i])) {
          nan_ = at;
        } else {
          floats_[values[i]] = at;
        }
      }
    } else {
      const std::vector<std::int64_t> values = keys.int_values();
      for (std::size_t i = 0; i < values.size(); ++i)
        ints_[values[i]] = static_cast<std::int64_t>(i);
    }
  }

  std::int64_t find(const std::string& key) const { return found(texts_, key); }
  std::int64_t find(double key) const { return std::isnan(key) ? nan_ : found(floats_, key); }
  std::int64_t find(std::int64_t key) const { return found(ints_, key); }

  // Calls f(i, position or -1) for each element of x, whose type is that of the keys.
  template <class F>
  void for_each(const void* x, DType dtype, std::int64_t n, F&& f) const {
    if (dtype == DType::kString) {
      for (std::int64_t i = 0; i < n; ++i) f(i, find(static_cast<const std::string*>(x)[i]));
      return;
    }
    visit_scalar(dtype, [&]<class T>(std::type_identity<T>) {
      using Key = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
      for (std::int64_t i = 0; i < n; ++i)
        f(i, find(static_cast<Key>(static_cast<const T*>(x)[i])));
    });
  }

 private:
  template <class Map, class Key>
  static std::int64_t found(const Map& map, const Key& key) {
    const auto it = map.find(key);
    return it == map.end() ? -1 : it->second;
  }

  std::unordered_map<std::string, std::int64_t> texts_;
  std::unordered_map<std::int64_t, std::int64_t> ints_;
  std::unordered_map<double, std::int64_t> floats_;
  std::int64_t nan_ = -1;
};

template <class T>
Tensor list(const std::vector<T>& values) {
  return Tensor::from(std::span<const T>(values));
}

// What an encoder maps: keys to values, the others to one value.
struct Table {
  Tensor keys, values, fallback;
};

// The list in one of the attributes keys_* (or values_*).
std::optional<Tensor> table_list(const OpContext& c, const std::string& prefix) {
  if (const Tensor* tensor = c.attr_tensor(prefix + "_tensor")) return *tensor;
  if (c.has_attr(prefix + "_strings")) return list(c.attr_strings(prefix + "_strings"));
  if (c.has_attr(prefix + "_int64s")) return list(c.attr_ints(prefix + "_int64s"));
  if (c.has_attr(prefix + "_floats")) return list(c.attr_floats(prefix + "_floats"));
  return std::nullopt;
}

Tensor default_value(const OpContext& c, DType dtype) {
  if (const Tensor* given = c.attr_tensor("default_tensor")) {
    if (given->dtype() != dtype || given->elements() != 1) {
      c.fail("attribute 'default_tensor' must be one " + std::string(dtype_name(dtype)) +
             ", found " + std::string(dtype_name(given->dtype())) + " " + given->shape().str());
    }
    return *given;
  }
  if (dtype == DType::kString) return Tensor::scalar(std::string(c.attr_string("default_string")));
  Tensor result = Tensor::allocate(dtype, Shape{});
  visit_number(dtype, [&]<class T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) {
      *result.mutable_as<T>() = static_cast<T>(c.attr_int("default_int64"));
    } else {
      *result.mutable_as<T>() = static_cast<T>(c.attr_float("default_float"));
    }
  });
  return result;
}

// Positions 0, 1, ... as int64.
Tensor counted(std::int64_t count) {
  Tensor result = Tensor::allocate(DType::kInt64, Shape{count});
  for (std::int64_t i = 0; i < count; ++i) result.mutable_as<std::int64_t>()[i] = i;
  return result;
}

// From texts to integers or back, as the input wants it.
Table two_way(const OpContext& c, const Tensor& texts, const Tensor& ints) {
  const bool encode = c.dtype(0) == DType::kString;
  return {encode ? texts : ints, encode ? ints : texts,
          default_value(c, encode ? DType::kInt64 : DType::kString)};
}

Table label_table(const OpContext& c) {
  if (c.has_attr("classes_strings")) {  // the first version's
    const Tensor classes = list(c.attr_strings("classes_strings"));
    return two_way(c, classes, counted(classes.elements()));
  }
  const auto keys = table_list(c, "keys"), values = table_list(c, "values");
  if (!keys || !values) {
    c.fail("needs one of the attributes keys_* and one of values_*");
  }
  return {*keys, *values, default_value(c, values->dtype())};
}

Table category_table(const OpContext& c) {
  return two_way(c, list(c.attr_strings("cats_strings")), list(c.attr_ints("cats_int64s")));
}

void infer_table(InferContext& c, const Table& table) {
  const auto usable = [](DType dtype) {
    return dtype == DType::kString || visit_number(dtype, [](auto) {});
  };
  if (!usable(table.keys.dtype()) || !usable(table.values.dtype())) {
    c.fail("keys and values must be numbers or strings, found " +
           std::string(dtype_name(table.keys.dtype())) + " and " +
           std::string(dtype_name(table.values.dtype())));
  }
  if (table.keys.elements() != table.values.elements()) {
    c.fail("there are " + std::to_string(table.keys.elements()) + " keys and " +
           std::to_string(table.values.elements()) + " values; give as many");
  }
  c.expect_dtype(0, {table.keys.dtype()});
  c.set_output(0, table.values.dtype(), c.shape(0));
}

Step lower_table(LowerContext& c, Table table) {
  Step step;
  step.algorithm = "hash table";
  step.run = [positions = std::make_shared<const Positions>(table.keys), table, dtype = c.dtype(0),
              n = c.shape(0).elements()](const RunContext& run) {
    visit_element(table.values.dtype(), [&]<class T>(std::type_identity<T>) {
      positions->for_each(run.in<void>(0), dtype, n, [&](std::int64_t i, std::int64_t at) {
        run.out<T>(0)[i] = at < 0 ? *table.fallback.as<T>() : table.values.as<T>()[at];
      });
    });
  };
  return step;
}

void infer_label(InferContext& c) { infer_table(c, label_table(c)); }
Step lower_label(LowerContext& c) { return lower_table(c, label_table(c)); }

void infer_category(InferContext& c) {
  c.expect_dtype(0, {DType::kString, DType::kInt64});
  infer_table(c, category_table(c));
}
Step lower_category(LowerContext& c) { return lower_table(c, category_table(c)); }

Tensor categories(const OpContext& c) {
  const ml::Labels cats = ml::labels_of(c, "cats_int64s", "cats_strings");
  return cats.strings.empty() ? list(cats.ints) : list(cats.strings);
}

void infer_one_hot(InferContext& c) {
  const Tensor cats = categories(c);
  if (cats.dtype() == DType::kString) {
    c.expect_dtype(0, {DType::kString});
  } else {
    c.expect_dtype(0, {DType::kInt64, DType::kInt32, DType::kFloat32, DType::kFloat64});
  }
  Shape shape = c.shape(0);
  shape.push_back(cats.elements());
  c.set_output(0, DType::kFloat32, std::move(shape));
}

// The position of a number, cut to an integer; NaN and what no int64 holds have none.
template <class T>
std::int64_t position_of(const Positions& positions, T x) {
  if constexpr (std::is_floating_point_v<T>) {
    constexpr auto kEnd = static_cast<T>(9223372036854775808.0);
    if (!(x >= -kEnd && x < kEnd)) return -1;
  }
  return positions.find(static_cast<std::int64_t>(x));
}

Step lower_one_hot(LowerContext& c) {
  Step step;
  step.algorithm = "hash table";
  const Tensor cats = categories(c);
  step.run = [positions = std::make_shared<const Positions>(cats), count = cats.elements(),
              dtype = c.dtype(0), n = c.shape(0).elements(), lenient = c.attr_int("zeros") != 0,
              where = c.where()](const RunContext& run) {
    float* out = run.out<float>(0);
    std::fill_n(out, n * count, 0.0f);
    const auto set = [&](std::int64_t i, std::int64_t at) {
      if (at >= 0) {
        out[i * count + at] = 1.0f;
      } else if (!lenient) {
        throw ModelError(where + "element " + std::to_string(i) +
                         " is none of the categories, and attribute 'zeros' is 0");
      }
    };
    if (dtype == DType::kString) {
      positions->for_each(run.in<void>(0), dtype, n, set);
      return;
    }
    visit_number(dtype, [&]<class T>(std::type_identity<T>) {
      for (std::int64_t i = 0; i < n; ++i) set(i, position_of(*positions, run.in<T>(0)[i]));
    });
  };
  return step;
}

constexpr AttrDef kDefaultInt = {.name = "default_int64",
                                 .type = AttrType::kInt,
                                 .doc = "integer for keys that are not in the table",
                                 .int_default = -1};
constexpr AttrDef kDefaultString = {.name = "default_string",
                                    .type = AttrType::kString,
                                    .doc = "text for keys that are not in the table",
                                    .string_default = "_Unused"};
constexpr AttrDef kLabelAttrs[] = {
    kDefaultInt,
    kDefaultString,
    {.name = "default_float",
     .type = AttrType::kFloat,
     .doc = "float for keys that are not in the table",
     .float_default = -0.0f},
    {.name = "default_tensor", .type = AttrType::kTensor, .doc = "the same in any type"},
    {.name = "keys_strings", .type = AttrType::kStrings, .doc = "keys, or"},
    {.name = "keys_int64s", .type = AttrType::kInts, .doc = "keys, or"},
    {.name = "keys_floats", .type = AttrType::kFloats, .doc = "keys, or"},
    {.name = "keys_tensor", .type = AttrType::kTensor, .doc = "keys"},
    {.name = "values_strings", .type = AttrType::kStrings, .doc = "their values, or"},
    {.name = "values_int64s", .type = AttrType::kInts, .doc = "their values, or"},
    {.name = "values_floats", .type = AttrType::kFloats, .doc = "their values, or"},
    {.name = "values_tensor", .type = AttrType::kTensor, .doc = "their values"},
    {.name = "classes_strings",
     .type = AttrType::kStrings,
     .doc = "version 1: texts to and from their positions"},
};
constexpr AttrDef kCategoryAttrs[] = {
    kDefaultInt,
    kDefaultString,
    {.name = "cats_strings", .type = AttrType::kStrings, .doc = "texts"},
    {.name = "cats_int64s", .type = AttrType::kInts, .doc = "their integers"},
};
constexpr AttrDef kOneHotAttrs[] = {
    {.name = "cats_int64s", .type = AttrType::kInts, .doc = "categories, or"},
    {.name = "cats_strings", .type = AttrType::kStrings, .doc = "categories as texts"},
    {.name = "zeros",
     .type = AttrType::kInt,
     .doc = "1: other values give zeros; 0: they are errors",
     .int_default = 1},
};

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "LabelEncoder",
     .doc = "Each element looked up in a table.",
     .attributes = kLabelAttrs,
     .infer = infer_label,
     .lower = lower_label,
     .any_float = true,
     .flops = no_flops},
    {.domain = ml::kDomain,
     .name = "CategoryMapper",
     .doc = "Texts to integers, or back.",
     .attributes = kCategoryAttrs,
     .infer = infer_category,
     .lower = lower_category,
     .flops = no_flops},
    {.domain = ml::kDomain,
     .name = "OneHotEncoder",
     .doc = "A one in place of each category.",
     .attributes = kOneHotAttrs,
     .infer = infer_one_hot,
     .lower = lower_one_hot,
     .flops = no_flops},
};

}  // namespace

extern const OpTable ml_encode_ops;
const OpTable ml_encode_ops = {kOps};

}  // namespace lanewise
