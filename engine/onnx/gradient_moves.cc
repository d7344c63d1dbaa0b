// Derivatives of operators that move elements. Most are derived alike: what the operator does to
// the numbers of the elements tells where each one went, and its derivative is added there.
#include <limits>

#include "engine/onnx/gradient.h"

namespace lanewise::onnx {
namespace {

// 1, 2, ... in the shape of x: an operator that fills in zeros then names no element.
std::string numbered(const Visit& v, const std::string& x) {
  const std::string end = v.op("Add", {v.op("Size", {x}), v.reverse.integer(1)});
  const std::string numbers = v.op("Range", {v.reverse.integer(1), end, v.reverse.integer(1)});
  return v.op("Reshape", {numbers, v.op("Shape", {x})}, attrs({{"allowzero", std::int64_t{1}}}));
}

// Adds each element of g to that of input 0 whose number stands in its place.
void add_scattered(const Visit& v, const std::string& places) {
  const std::string flat = v.reverse.ints({-1}), one = v.reverse.ints({1});
  const std::string size = v.op("Add", {v.op("Reshape", {v.op("Size", {v.x()}), one}), one});
  const std::string zeros = v.op("Expand", {v.number(0), size});
  const std::string sums = v.op(
      "ScatterElements", {zeros, v.op("Reshape", {places, flat}), v.op("Reshape", {v.g, flat})},
      attrs({{"reduction", std::string("add")}}));
  const std::string end = v.reverse.ints({std::numeric_limits<std::int64_t>::max()});
  const std::string real = v.op("Slice", {sums, one, end});
  v.reverse.add(v.x(), v.op("Reshape", {real, v.op("Shape", {v.x()})},
                            attrs({{"allowzero", std::int64_t{1}}})));
}

void moved(const Visit& v) {
  if (!v.wants(0)) return;
  NameList inputs = v.node.inputs;
  inputs[0] = numbered(v, v.x());
  add_scattered(v, v.op(v.node.op, std::move(inputs), v.node.attributes));
}

void padded(const Visit& v) {
  v.expect_constant(2);
  if (!v.wants(0)) return;
  NameList inputs = v.node.inputs;
  inputs[0] = numbered(v, v.x());
  if (inputs.size() > 2) inputs[2].clear();  // the value that fills in: zero
  add_scattered(v, v.op("Pad", std::move(inputs), v.node.attributes));
}

void resized(const Visit& v) {
  if (v.attr_string("mode", "nearest") != "nearest")
    v.reverse.unsupported("there is no derivative of " + label(v.node) + " but for nearest pixels");
  moved(v);
}

// The numbers of the largest elements are an output of the operator.
void max_pooled(const Visit& v) {
  AttrMap attributes = v.node.attributes;
  attributes.erase("storage_order");
  const std::string indices = v.reverse.all("MaxPool", {v.x()}, 2, std::move(attributes))[1];
  add_scattered(v, v.op("Add", {indices, v.reverse.integer(1)}));
}

void reshaped(const Visit& v) {
  v.reverse.add(v.x(), v.op("Reshape", {v.g, v.op("Shape", {v.x()})},
                            attrs({{"allowzero", std::int64_t{1}}})));
}
void expanded(const Visit& v) { v.reverse.add_broadcast(v.x(), v.g); }

void transposed(const Visit& v) {
  AttrMap back;
  if (const auto* perm = v.attribute<std::vector<std::int64_t>>("perm")) {
    std::vector<std::int64_t> inverse(perm->size(), 0);
    for (std::size_t i = 0; i < perm->size(); ++i) {
      const auto at = static_cast<std::size_t>((*perm)[i]);
      if (at < inverse.size()) inverse[at] = static_cast<std::int64_t>(i);
    }
    back = attrs({{"perm", inverse}});
  }
  v.reverse.add(v.x(), v.op("Transpose", {v.g}, std::move(back)));
}

// The size of x along an axis, int64 [1].
std::string size_along(const Visit& v, const std::string& x, std::int64_t axis) {
  return v.op("Gather", {v.op("Shape", {x}), v.reverse.ints({axis})});
}

void concatenated(const Visit& v) {
  const std::int64_t axis = v.attr("axis", 0);
  NameList sizes;
  for (const std::string& x : v.node.inputs) sizes.push_back(size_along(v, x, axis));
  const std::size_t count = sizes.size();
  const std::string split = v.op("Concat", std::move(sizes), attrs({{"axis", std::int64_t{0}}}));
  const NameList parts = v.reverse.all("Split", {v.g, split}, count, attrs({{"axis", axis}}));
  for (std::size_t i = 0; i < count; ++i) v.reverse.add(v.x(i), parts[i]);
}

void split(const Visit& v) {
  NameList parts;
  for (const std::string& output : v.node.outputs) {
    const auto known = v.reverse.derivatives.find(output);
    const bool used = known != v.reverse.derivatives.end();
    parts.push_back(used ? known->second : v.op("Expand", {v.number(0), v.op("Shape", {output})}));
  }
  v.reverse.add(v.x(), v.op("Concat", std::move(parts), attrs({{"axis", v.attr("axis", 0)}})));
}

constexpr Derivative kDerivatives[] = {
    {"CenterCropPad", moved}, {"Compress", moved},
    {"Concat", concatenated}, {"DepthToSpace", moved},
    {"Expand", expanded},     {"Flatten", reshaped},
    {"Gather", moved},        {"GatherElements", moved},
    {"GatherND", moved},      {"MaxPool", max_pooled},
    {"Pad", padded},          {"Reshape", reshaped},
    {"Resize", resized},      {"ReverseSequence", moved},
    {"Slice", moved},         {"SpaceToDepth", moved},
    {"Split", split, true},   {"Squeeze", reshaped},
    {"Tile", moved},          {"Transpose", transposed},
    {"Trilu", moved},         {"Unsqueeze", reshaped},
};

}  // namespace

std::span<const Derivative> moving_derivatives() { return kDerivatives; }

}  // namespace lanewise::onnx
