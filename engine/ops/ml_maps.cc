// Maps of ai.onnx.ml: ZipMap makes them of scores, DictVectorizer reads them into a vector.
#include <map>
#include <string>
#include <utility>

#include "engine/base/error.h"
#include "engine/cpu/elements.h"
#include "engine/ops/containers.h"
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
};

}  // namespace

extern const OpTable ml_maps_ops;
const OpTable ml_maps_ops = {kOps};

}  // namespace lanewise
