// Control flow of older opsets.
#include <utility>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

using Graph = std::shared_ptr<DraftGraph>;

// Opset 8 scans each sample of a batch by itself: today's Scan inside one that runs over samples.
void scan_over_batch(Rewriter& r) {
  const bool has_lengths = r.has_input(0);
  const auto body = r.take<Graph>("body");
  if (!body) r.fail("the required attribute 'body' (a graph) is missing");
  DraftNode inner;
  inner.name = r.fresh(r.node.name + "/sample");
  inner.op = "Scan";
  inner.opset = r.node.opset;
  inner.version = kNewestOpset;
  AttrMap attributes = attrs({{"body", *body}});
  for (const auto& [from, to] : {std::pair("num_scan_inputs", "num_scan_inputs"),
                                 std::pair("directions", "scan_input_directions")}) {
    if (const auto it = r.node.attributes.find(from); it != r.node.attributes.end()) {
      attributes[to] = it->second;
    }
  }
  inner.attributes = std::move(attributes);

  auto sample = std::make_shared<DraftGraph>();
  sample->name = inner.name;
  std::vector<std::string> inputs(r.node.inputs.begin() + (r.node.inputs.empty() ? 0 : 1),
                                  r.node.inputs.end());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    DraftValue value;
    value.name = r.fresh(inner.name + "/in");
    inner.inputs.push_back(value.name);
    sample->inputs.push_back(std::move(value));
  }
  for (std::size_t i = 0; i < (*body)->outputs.size(); ++i) {
    DraftValue value;
    value.name = r.fresh(inner.name + "/out");
    inner.outputs.push_back(value.name);
    sample->outputs.push_back(std::move(value));
  }
  sample->nodes.push_back(std::move(inner));
  const auto all = static_cast<std::int64_t>(inputs.size());
  r.become("Scan", std::move(inputs), attrs({{"body", sample}, {"num_scan_inputs", all}}));
  if (has_lengths) r.unsupported("lengths of the sequences (input 0) are not supported");
}

constexpr Rule kRules[] = {{"Scan", 8, 8, scan_over_batch}};

}  // namespace

std::span<const Rule> control_rules() { return kRules; }

}  // namespace lanewise::onnx
