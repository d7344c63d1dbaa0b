// Maps of ai.onnx.ml: ZipMap makes them of scores, DictVectorizer and CastMap read them.
#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "engine/base/error.h"
#include "engine/cpu/elements.h"
#include "engine/ops/containers.h"
#include "engine/ops/eltwise.h"
#include "engine/ops/ml.h"

namespace lanewise {
namespace {

ml::Labels keys_of(const OpContext& c) {
  return ml::labels_of(c, "classlabels_int64s", "classlabels_strings");
}

Tensor key_tensor(const ml::Labels& keys) {
  return keys.strings.empty() ? Tensor::from(std::span<const std::int64_t>(keys.ints))
                              : Tensor::from(std::span<const std::string>(keys.strings));
}

void infer_zip(InferContext& c) {
  expect_tensor(c, 0);
  c.expect_dtype(0, {DType::kFloat32});
  const std::int64_t columns = ml::expect_rows(c).columns;
  const auto keys = static_cast<std::int64_t>(keys_of(c).size());
  if (keys != columns) {
    c.fail("there are " + std::to_string(keys) + " keys for " + std::to_string(columns) +
           " columns; give as many");
  }
  c.set_emitted(0, DType::kSequence);
}

Step lower_zip(LowerContext& c) {
  Step step;
  step.algorithm = "map";
  step.run = [keys = key_tensor(keys_of(c)), rows = ml::expect_rows(c)](const RunContext& run) {
    Container result{{DType::kMap, keys.dtype(), DType::kFloat32}, {}};
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      const float* row = run.in<float>(0) + i * rows.columns;
      const Tensor values =
          Tensor::from(std::span<const float>(row, static_cast<std::size_t>(rows.columns)));
      result.items.push_back(
          make_container(DType::kMap, {{keys.dtype(), DType::kFloat32}, {keys, values}}));
    }
    run.emitter->emit(0, make_container(DType::kSequence, std::move(result)));
  };
  return step;
}

ml::Labels vocabulary(const OpContext& c) {
  return ml::labels_of(c, "int64_vocabulary", "string_vocabulary");
}

void infer_vectorizer(InferContext& c) {
  expect_container(c, 0, DType::kMap);
  (void)vocabulary(c);
  c.set_emitted(0, DType::kFloat32);
}

template <class T>
void fill(const Tensor& keys, const Tensor& values, const std::map<T, std::int64_t>& places,
          Tensor& out) {
  visit_element(values.dtype(), [&]<class V>(std::type_identity<V>) {
    std::fill_n(out.mutable_as<V>(), out.elements(), V{});
    for (std::int64_t i = 0; i < keys.elements(); ++i) {
      const auto place = places.find(keys.as<T>()[i]);
      if (place != places.end()) out.mutable_as<V>()[place->second] = values.as<V>()[i];
    }
  });
}

template <class T>
std::map<T, std::int64_t> places_of(const std::vector<T>& words) {
  std::map<T, std::int64_t> places;
  for (std::size_t i = 0; i < words.size(); ++i) {
    places.emplace(words[i], static_cast<std::int64_t>(i));
  }
  return places;
}

Step lower_vectorizer(LowerContext& c) {
  const ml::Labels words = vocabulary(c);
  Step step;
  step.algorithm = "hash table";
  step.run = [words, ints = places_of(words.ints), texts = places_of(words.strings),
              where = c.where()](const RunContext& run) {
    const Container& content = *run.in<Container>(0);
    const Tensor& keys = content.items[0];
    const Tensor& values = content.items[1];
    if (keys.dtype() != words.dtype() || is_container(values.dtype())) {
      throw ModelError(where + "expected a map with keys of " +
                       std::string(dtype_name(words.dtype())) + ", found " +
                       type_text(type_of(DType::kMap, content.holds)));
    }
    Tensor out = Tensor::allocate(values.dtype(), {static_cast<std::int64_t>(words.size())});
    if (words.strings.empty()) {
      fill(keys, values, ints, out);
    } else {
      fill(keys, values, texts, out);
    }
    run.emitter->emit(0, std::move(out));
  };
  return step;
}

// The type that CastMap gives.
DType cast_type(const OpContext& c) {
  const std::string_view name = c.attr_string("cast_to");
  if (name == "TO_FLOAT") return DType::kFloat32;
  if (name == "TO_INT64") return DType::kInt64;
  if (name == "TO_STRING") return DType::kString;
  c.fail("attribute 'cast_to' is '" + std::string(name) +
         "', expected TO_FLOAT, TO_INT64 or TO_STRING");
}

// The columns of a sparse result; -1 for a dense one.
std::int64_t sparse_columns(const OpContext& c) {
  const std::string_view form = c.attr_string("map_form");
  if (form == "DENSE") return -1;
  if (form != "SPARSE") {
    c.fail("attribute 'map_form' is '" + std::string(form) + "', expected DENSE or SPARSE");
  }
  const std::int64_t columns = c.attr_int("max_map");
  if (columns < 1) {
    c.fail("attribute 'max_map' is " + std::to_string(columns) + ", expected 1 or more");
  }
  return columns;
}

void infer_cast(InferContext& c) {
  expect_container(c, 0, DType::kMap);
  (void)sparse_columns(c);
  c.set_emitted(0, cast_type(c));
}

// The value as a text, a float or an integer.
template <class To, class From>
To cast_value(const From& value, const std::string& where) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<To, std::string>) {
    std::ostringstream text;
    text << value;
    return text.str();
  } else if constexpr (std::is_same_v<From, std::string>) {
    std::istringstream text(value);
    To number{};
    if (!(text >> number) || !(text >> std::ws).eof()) {
      throw ModelError(where + "the value '" + value + "' is no number");
    }
    return number;
  } else {
    return saturate_cast<To>(static_cast<double>(value));
  }
}

// Values by ascending key: side by side, or each in the column of its key.
template <class To, class From>
Tensor cast_map(const Container& content, std::int64_t columns, const std::string& where) {
  std::map<std::int64_t, From> ordered;
  for (std::int64_t i = 0; i < content.items[0].elements(); ++i) {
    ordered[content.items[0].as<std::int64_t>()[i]] = content.items[1].as<From>()[i];
  }
  const std::int64_t width = columns < 0 ? static_cast<std::int64_t>(ordered.size()) : columns;
  Tensor out = Tensor::allocate(kDTypeOf<To>, {1, width});
  std::fill_n(out.mutable_as<To>(), width, To{});
  std::int64_t at = 0;
  for (const auto& [key, value] : ordered) {
    if (columns >= 0 && (key < 0 || key >= columns)) {
      throw ModelError(where + "key " + std::to_string(key) + " is outside the " +
                       std::to_string(columns) + " columns of 'max_map'");
    }
    out.mutable_as<To>()[columns < 0 ? at++ : key] = cast_value<To>(value, where);
  }
  return out;
}

template <class From>
Tensor cast_map(const Container& content, DType to, std::int64_t columns,
                const std::string& where) {
  switch (to) {
    case DType::kInt64: return cast_map<std::int64_t, From>(content, columns, where);
    case DType::kString: return cast_map<std::string, From>(content, columns, where);
    default: return cast_map<float, From>(content, columns, where);
  }
}

Step lower_cast(LowerContext& c) {
  Step step;
  step.algorithm = "map";
  step.run = [to = cast_type(c), columns = sparse_columns(c),
              where = c.where()](const RunContext& run) {
    const Container& content = *run.in<Container>(0);
    const DType value = content.items[1].dtype();
    const bool known = value == DType::kString || value == DType::kFloat32;
    if (content.items[0].dtype() != DType::kInt64 || !known) {
      throw ModelError(where + "expected a map from int64 to float32 or string, found " +
                       type_text(type_of(DType::kMap, content.holds)));
    }
    run.emitter->emit(0, value == DType::kString
                             ? cast_map<std::string>(content, to, columns, where)
                             : cast_map<float>(content, to, columns, where));
  };
  return step;
}

constexpr AttrDef kCastAttrs[] = {
    {.name = "cast_to",
     .type = AttrType::kString,
     .doc = "TO_FLOAT, TO_INT64 or TO_STRING",
     .string_default = "TO_FLOAT"},
    {.name = "map_form",
     .type = AttrType::kString,
     .doc = "DENSE: values side by side; SPARSE: each in the column of its key",
     .string_default = "DENSE"},
    {.name = "max_map",
     .type = AttrType::kInt,
     .doc = "columns of the sparse form",
     .int_default = 1}};
constexpr AttrDef kZipAttrs[] = {
    {.name = "classlabels_int64s", .type = AttrType::kInts, .doc = "keys, or"},
    {.name = "classlabels_strings", .type = AttrType::kStrings, .doc = "keys as texts"}};
constexpr AttrDef kVectorizerAttrs[] = {
    {.name = "int64_vocabulary", .type = AttrType::kInts, .doc = "keys in the order wanted, or"},
    {.name = "string_vocabulary", .type = AttrType::kStrings, .doc = "keys as texts"}};

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "ZipMap",
     .doc = "A map from the keys to the values of each row.",
     .attributes = kZipAttrs,
     .infer = infer_zip,
     .lower = lower_zip,
     .any_float = true,
     .containers = true},
    {.domain = ml::kDomain,
     .name = "DictVectorizer",
     .doc =
         "A map's values in the order of a vocabulary, 0 or \"\" where it has none; keys outside "
         "the vocabulary are left out.",
     .attributes = kVectorizerAttrs,
     .infer = infer_vectorizer,
     .lower = lower_vectorizer,
     .any_float = true,
     .containers = true},
    {.domain = ml::kDomain,
     .name = "CastMap",
     .doc = "A map's values as one row, by ascending key.",
     .attributes = kCastAttrs,
     .infer = infer_cast,
     .lower = lower_cast,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable ml_maps_ops;
const OpTable ml_maps_ops = {kOps};

}  // namespace lanewise
