// Old forms of operators that move elements or give them another shape. Most had attributes for
// what is an input now.
#include "engine/graph/tensor.h"
#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

void reshape_1(Rewriter& r) {
  if (!r.has("shape")) r.fail("the required attribute 'shape' is missing");
  r.ints_to_input("shape", 1);
}

void axes_to_input(Rewriter& r) { r.ints_to_input("axes", 1); }

void unsqueeze_1(Rewriter& r) {
  if (!r.has("axes")) r.fail("the required attribute 'axes' is missing");
  r.ints_to_input("axes", 1);
}

void concat_1(Rewriter& r) { r.set_default("axis", std::int64_t{1}); }

void split_12(Rewriter& r) { r.ints_to_input("split", 1); }

// Equal parts were counted by the outputs; now by an attribute.
void split_17(Rewriter& r) {
  if (!r.has_input(1)) r.set("num_outputs", static_cast<std::int64_t>(r.node.outputs.size()));
}

void slice_9(Rewriter& r) {
  if (!r.has("starts") || !r.has("ends"))
    r.fail("the required attributes 'starts' and 'ends' are missing");
  r.ints_to_input("starts", 1);
  r.ints_to_input("ends", 2);
  r.ints_to_input("axes", 3);
}

void pad_1(Rewriter& r) {
  if (auto pads = r.take<Ints>("paddings")) r.set("pads", *pads);
}

void pad_10(Rewriter& r) {
  if (!r.has("pads")) r.fail("the required attribute 'pads' is missing");
  const float value = r.take<float>("value").value_or(0.0f);
  r.ints_to_input("pads", 1);
  if (value != 0.0f) r.set_input(2, r.number(value, r.type_of(r.input(0))));
}

// Repeats along one axis: ones elsewhere.
void tile_5(Rewriter& r) {
  const std::string data = r.input(0);
  const std::string one_axis = r.before("Reshape", {r.input(2), r.ints({1})});
  const std::string one_count = r.before("Reshape", {r.input(1), r.ints({1})});
  const auto as_int64 = attrs({{"to", static_cast<std::int64_t>(DType::kInt64)}});
  const std::string repeats =
      r.before("ScatterElements",
               {r.ones(r.rank_of(data)), r.before("Cast", {one_axis}, as_int64),
                r.before("Cast", {one_count}, as_int64)},
               attrs({{"axis", std::int64_t{0}}}));
  r.become("Tile", {data, repeats});
}

void topk_9(Rewriter& r) {
  const auto k = r.take<std::int64_t>("k");
  if (!k) r.fail("the required attribute 'k' is missing");
  r.set_input(1, r.ints({*k}));
}

void scatter(Rewriter& r) { r.node.op = "ScatterElements"; }

// Types were named before they were numbered.
void cast_5(Rewriter& r) {
  const auto name = r.take<std::string>("to");
  if (!name) r.fail("the required attribute 'to' is missing");
  static constexpr std::pair<std::string_view, DType> kNames[] = {
      {"FLOAT", DType::kFloat32},
      {"UINT8", DType::kUInt8},
      {"INT8", DType::kInt8},
      {"UINT16", DType::kUInt16},
      {"INT16", DType::kInt16},
      {"INT32", DType::kInt32},
      {"INT64", DType::kInt64},
      {"STRING", DType::kString},
      {"BOOL", DType::kBool},
      {"FLOAT16", DType::kFloat16},
      {"DOUBLE", DType::kFloat64},
      {"UINT32", DType::kUInt32},
      {"UINT64", DType::kUInt64},
      {"COMPLEX64", DType::kComplex64},
      {"COMPLEX128", DType::kComplex128},
  };
  for (const auto& [known, dtype] : kNames) {
    if (known == *name) return r.set("to", static_cast<std::int64_t>(dtype));
  }
  r.fail("attribute 'to' names no element type");
}

constexpr Rule kRules[] = {
    {"Reshape", 1, 4, reshape_1},
    {"Squeeze", 1, 12, axes_to_input},
    {"Unsqueeze", 1, 12, unsqueeze_1},
    {"Concat", 1, 3, concat_1},
    {"Split", 1, 12, split_12},
    {"Split", 13, 17, split_17},
    {"Slice", 1, 9, slice_9},
    {"Pad", 1, 1, pad_1},
    {"Pad", 2, 10, pad_10},
    {"Tile", 1, 5, tile_5},
    {"TopK", 1, 9, topk_9},
    {"Scatter", 9, 10, scatter},
    {"Cast", 1, 5, cast_5},
};

}  // namespace

std::span<const Rule> shape_rules() { return kRules; }

}  // namespace lanewise::onnx
