// A node against its operator's schema.
#include <algorithm>
#include <string>
#include <type_traits>

#include "engine/graph/op.h"
#include "engine/onnx/resolve.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

const char* type_name(AttrType type) {
  switch (type) {
    case AttrType::kInt: return "an int";
    case AttrType::kFloat: return "a float";
    case AttrType::kString: return "a string";
    case AttrType::kInts: return "a list of ints";
    case AttrType::kFloats: return "a list of floats";
    case AttrType::kStrings: return "a list of strings";
    case AttrType::kTensor: return "a tensor";
    case AttrType::kTensors: return "a list of tensors";
    case AttrType::kGraph: return "a graph";
    case AttrType::kType: return "a type";
  }
  return "";
}

// AttrValue's alternatives stand in AttrType's order.
AttrType type_of(const AttrValue& value) { return static_cast<AttrType>(value.index()); }

// An empty list may be stored under any of the list types.
bool is_empty_list(const AttrValue& value) {
  return std::visit(
      [](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::vector<std::int64_t>> ||
                      std::is_same_v<T, std::vector<float>> ||
                      std::is_same_v<T, std::vector<std::string>>) {
          return v.empty();
        }
        return false;
      },
      value);
}

// Strings end up in messages and in Python, which both want text.
bool is_text(const AttrValue& value) {
  if (const auto* one = std::get_if<std::string>(&value)) return is_utf8(*one);
  const auto* list = std::get_if<std::vector<std::string>>(&value);
  return list == nullptr || std::all_of(list->begin(), list->end(), is_utf8);
}

std::string range(int least, int most) {
  if (most < 0) return std::to_string(least) + " or more";
  if (least == most) return std::to_string(least);
  return std::to_string(least) + " to " + std::to_string(most);
}

void check_attributes(const DraftNode& node, const OpDef& op, Problems& problems) {
  for (const auto& [name, attribute] : node.attributes) {
    const auto def = std::find_if(op.attributes.begin(), op.attributes.end(),
                                  [&](const AttrDef& d) { return d.name == name; });
    const bool listed = def != op.attributes.end();
    if (!listed && !op.any_attributes) {
      std::string known;
      for (const AttrDef& d : op.attributes)
        known += (known.empty() ? "" : ", ") + std::string(d.name);
      problems.errors.push_back(label(node) + ": unknown attribute " + quoted(name) +
                                "; the operator has " + (known.empty() ? "none" : known));
    } else if (attribute.value == nullptr) {
      problems.errors.push_back(label(node) + ": attribute " + quoted(name) +
                                (!attribute.reference.empty()
                                     ? " refers to a function's attribute outside a function"
                                 : listed ? " must be " + std::string(type_name(def->type))
                                          : " is of a type that no operator here takes"));
    } else if (listed && type_of(*attribute.value) != def->type &&
               !is_empty_list(*attribute.value)) {
      problems.errors.push_back(label(node) + ": attribute " + quoted(name) + " must be " +
                                type_name(def->type) + ", found " +
                                type_name(type_of(*attribute.value)));
    } else if (!is_text(*attribute.value)) {
      problems.errors.push_back(label(node) + ": attribute " + quoted(name) + " is not UTF-8 text");
    }
  }
  for (const AttrDef& def : op.attributes) {
    if (def.required && !node.attributes.contains(def.name)) {
      problems.errors.push_back(label(node) + ": the required attribute " + quoted(def.name) +
                                " (" + type_name(def.type) + ") is missing");
    }
  }
}

}  // namespace

void check_node(const DraftNode& node, const OpDef& op, Problems& problems) {
  const int inputs = static_cast<int>(node.inputs.size());
  const int outputs = static_cast<int>(node.outputs.size());
  if (inputs < op.min_inputs || (op.max_inputs >= 0 && inputs > op.max_inputs)) {
    problems.errors.push_back(label(node) + ": expected " + range(op.min_inputs, op.max_inputs) +
                              " inputs, found " + std::to_string(inputs));
  } else {
    // Loop's first two inputs are optional although others must follow them.
    const bool has_body = std::any_of(op.attributes.begin(), op.attributes.end(),
                                      [](const AttrDef& d) { return d.type == AttrType::kGraph; });
    for (int i = 0; i < op.min_inputs && !has_body; ++i) {
      if (node.inputs[static_cast<std::size_t>(i)].empty()) {
        problems.errors.push_back(label(node) + ": input " + std::to_string(i) +
                                  " is required and left out");
      }
    }
  }
  if (outputs < op.min_outputs || (op.max_outputs >= 0 && outputs > op.max_outputs)) {
    problems.errors.push_back(label(node) + ": expected " + range(op.min_outputs, op.max_outputs) +
                              " outputs, found " + std::to_string(outputs));
  }
  check_attributes(node, op, problems);
}

}  // namespace lanewise::onnx
