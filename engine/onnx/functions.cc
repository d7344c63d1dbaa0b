// Inlining of model-local functions: names made unique, attribute references replaced.
#include "engine/onnx/functions.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "engine/base/error.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

struct Function {
  std::vector<std::string> inputs, outputs;
  AttrMap defaults;
  std::vector<DraftNode> nodes;
  bool open = false;  // being inlined
};

using Key = std::tuple<std::string, std::string, std::string>;
using Renames = std::unordered_map<std::string, std::string>;

// One call: how names and attributes of the function read outside of it.
struct Call {
  const AttrMap& arguments;
  const AttrMap& defaults;
  const std::string& prefix;
};

class Inliner {
 public:
  Inliner(const std::vector<FunctionProto>& protos, Names& names, TensorSource& source);
  void expand(DraftGraph& graph);

 private:
  void expand_node(DraftNode node, std::vector<DraftNode>& out);
  void instantiate(const DraftNode& node, Function& function, std::vector<DraftNode>& out);
  DraftNode clone(const DraftNode& node, Renames& renames, const Call& call);
  std::shared_ptr<DraftGraph> clone(const DraftGraph& body, Renames renames, const Call& call);
  std::string define(const std::string& name, Renames& renames, const Call& call);

  std::map<Key, Function> functions_;
  Names& names_;
  Budget& budget_;
  int depth_ = 0;
};

Inliner::Inliner(const std::vector<FunctionProto>& protos, Names& names, TensorSource& source)
    : names_(names), budget_(source.budget()) {
  for (const FunctionProto& proto : protos) {
    const OpsetMap opsets = make_opsets(proto.opset_import);
    Function function;
    function.inputs.assign(proto.input.begin(), proto.input.end());
    function.outputs.assign(proto.output.begin(), proto.output.end());
    for (const AttributeProto& attribute : proto.attribute_proto) {
      function.defaults.emplace(attribute.name, make_draft(attribute, opsets, source));
    }
    for (const NodeProto& node : proto.node) {
      function.nodes.push_back(make_draft(node, opsets, source));
    }
    Key key(canonical_domain(proto.domain), proto.name, proto.overload);
    if (!functions_.emplace(std::move(key), std::move(function)).second) {
      throw ModelError("function " + quoted(proto.name) + " is defined twice");
    }
  }
}

std::string Inliner::define(const std::string& name, Renames& renames, const Call& call) {
  std::string fresh = names_.fresh(call.prefix + "/" + name);
  budget_.take(2 * fresh.size() + name.size() + 64, "calls of functions");
  renames[name] = fresh;
  return fresh;
}

std::shared_ptr<DraftGraph> Inliner::clone(const DraftGraph& body, Renames renames,
                                           const Call& call) {
  // Names of the body get new names as well: an outer value's new name may equal one of them.
  auto copy = std::make_shared<DraftGraph>();
  copy->name = body.name;
  const auto defined = [&](DraftValue value) {
    value.name = define(value.name, renames, call);
    return value;
  };
  for (const DraftValue& input : body.inputs) copy->inputs.push_back(defined(input));
  for (const DraftConstant& constant : body.constants) {
    const auto known = std::find_if(body.inputs.begin(), body.inputs.end(),
                                    [&](const DraftValue& v) { return v.name == constant.name; });
    const std::string name =
        known != body.inputs.end() ? renames[constant.name] : define(constant.name, renames, call);
    copy->constants.push_back({name, constant.tensor});
  }
  for (const DraftNode& node : body.nodes) {
    for (const std::string& output : node.outputs) {
      if (!output.empty()) define(output, renames, call);
    }
  }
  for (const DraftNode& node : body.nodes) copy->nodes.push_back(clone(node, renames, call));
  for (DraftValue output : body.outputs) {
    if (const auto it = renames.find(output.name); it != renames.end()) output.name = it->second;
    copy->outputs.push_back(std::move(output));
  }
  return copy;
}

DraftNode Inliner::clone(const DraftNode& node, Renames& renames, const Call& call) {
  DraftNode copy = node;
  budget_.take(sizeof(DraftNode) + 256, "calls of functions");
  copy.name = names_.fresh(call.prefix + "/" + node.name);
  const auto rename = [&](std::string& name) {
    if (name.empty()) return;
    const auto it = renames.find(name);
    name = it != renames.end() ? it->second : define(std::string(name), renames, call);
  };
  for (std::string& input : copy.inputs) rename(input);
  for (std::string& output : copy.outputs) rename(output);
  while (!copy.inputs.empty() && copy.inputs.back().empty()) copy.inputs.pop_back();
  for (auto it = copy.attributes.begin(); it != copy.attributes.end();) {
    DraftAttr& attribute = it->second;
    if (!attribute.reference.empty()) {
      const AttrMap& given =
          call.arguments.contains(attribute.reference) ? call.arguments : call.defaults;
      const auto found = given.find(attribute.reference);
      if (found == given.end()) {  // an optional attribute that the caller leaves out
        it = copy.attributes.erase(it);
        continue;
      }
      attribute = DraftAttr(found->second);
    } else if (const auto* body = std::get_if<std::shared_ptr<DraftGraph>>(attribute.value.get())) {
      attribute.value = std::make_shared<const AttrValue>(clone(**body, renames, call));
    }
    ++it;
  }
  return copy;
}

void Inliner::instantiate(const DraftNode& node, Function& function, std::vector<DraftNode>& out) {
  if (function.open || depth_ >= kMaxDepth) {
    throw ModelError(label(node) + ": the function calls itself, or calls are nested deeper than " +
                     std::to_string(kMaxDepth) + " levels");
  }
  if (node.inputs.size() > function.inputs.size() ||
      node.outputs.size() > function.outputs.size()) {
    throw ModelError(label(node) + ": the function has " + std::to_string(function.inputs.size()) +
                     " inputs and " + std::to_string(function.outputs.size()) +
                     " outputs, the call gives more");
  }
  const Call call{node.attributes, function.defaults, node.name};
  Renames renames;
  for (std::size_t i = 0; i < function.inputs.size(); ++i) {
    renames[function.inputs[i]] = i < node.inputs.size() ? node.inputs[i] : std::string();
  }
  std::vector<DraftNode> passed;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const std::string& inner = function.outputs[i];
    if (node.outputs[i].empty()) continue;
    if (const auto it = renames.find(inner); it != renames.end()) {
      // An input, or an output that is listed twice, handed on as it is.
      DraftNode identity;
      identity.name = names_.fresh(node.name + "/" + inner);
      identity.op = "Identity";
      identity.opset = kNewestOpset;
      identity.version = kNewestOpset;
      identity.inputs = {it->second};
      identity.outputs = {node.outputs[i]};
      passed.push_back(std::move(identity));
    } else {
      renames[inner] = node.outputs[i];
    }
  }
  function.open = true;
  ++depth_;
  for (const DraftNode& inner : function.nodes) expand_node(clone(inner, renames, call), out);
  --depth_;
  function.open = false;
  for (DraftNode& identity : passed) out.push_back(std::move(identity));
}

void Inliner::expand_node(DraftNode node, std::vector<DraftNode>& out) {
  for (auto& [name, attribute] : node.attributes) {
    if (attribute.value == nullptr) continue;
    if (const auto* body = std::get_if<std::shared_ptr<DraftGraph>>(attribute.value.get()))
      expand(**body);
  }
  const auto it = functions_.find(Key(node.domain, node.op, node.overload));
  if (it == functions_.end()) {
    out.push_back(std::move(node));
  } else {
    instantiate(node, it->second, out);
  }
}

void Inliner::expand(DraftGraph& graph) {
  std::vector<DraftNode> nodes;
  nodes.reserve(graph.nodes.size());
  for (DraftNode& node : graph.nodes) expand_node(std::move(node), nodes);
  graph.nodes = std::move(nodes);
}

}  // namespace

void inline_functions(DraftGraph& graph, const std::vector<FunctionProto>& functions,
                      TensorSource& source) {
  if (functions.empty()) return;
  Names names(graph);
  Inliner(functions, names, source).expand(graph);
}

}  // namespace lanewise::onnx
