// Control flow of older opsets: opset 8's Scan, which ran over a batch of sequences of different
// lengths: a Scan of today over the batch, around one over each sequence.
#include <memory>
#include <utility>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

using NameList = std::vector<std::string>;

// Collects the nodes of the outer body.
class BatchBody {
 public:
  explicit BatchBody(Rewriter& r) : r_(r), graph_(std::make_shared<DraftGraph>()) {
    graph_->name = r.node.name;
  }

  std::string input() {
    DraftValue value;
    value.name = r_.fresh(r_.node.name + "/item");
    graph_->inputs.push_back(value);
    return value.name;
  }

  NameList add(std::string_view op, NameList inputs, std::size_t outputs, AttrMap attributes = {}) {
    DraftNode node;
    node.op = op;
    node.opset = r_.node.opset;
    node.version = kNewestOpset;
    node.name = fresh(op);
    node.inputs = std::move(inputs);
    for (std::size_t i = 0; i < outputs; ++i) node.outputs.push_back(fresh(op));
    node.attributes = std::move(attributes);
    graph_->nodes.push_back(std::move(node));
    return graph_->nodes.back().outputs;
  }

  void output(const std::string& name) {
    DraftValue value;
    value.name = name;
    graph_->outputs.push_back(std::move(value));
  }

  std::shared_ptr<DraftGraph> finish() { return std::move(graph_); }

 private:
  std::string fresh(std::string_view op) { return r_.fresh(r_.node.name + "/" + std::string(op)); }

  Rewriter& r_;
  std::shared_ptr<DraftGraph> graph_;
};

void scan_8(Rewriter& r) {
  const auto scans = r.take<std::int64_t>("num_scan_inputs");
  const auto operands = static_cast<std::int64_t>(r.node.inputs.size()) - 1;
  if (!scans || *scans < 1 || *scans > operands) {
    r.fail("attribute 'num_scan_inputs' must be 1 to the number of inputs behind the first");
  }
  if (!r.has("body")) r.fail("the required attribute 'body' is missing");
  const bool lengths = r.has_input(0);
  AttrMap inner = attrs({{"num_scan_inputs", *scans}});
  inner["body"] = r.node.attributes.find("body")->second;
  if (auto directions = r.take<std::vector<std::int64_t>>("directions")) {
    inner["scan_input_directions"].value = std::make_shared<const AttrValue>(*directions);
  }
  const auto states = static_cast<std::size_t>(operands - *scans);
  const std::string zero = r.ints({0}), one = r.ints({1});

  BatchBody body(r);
  NameList items, whole;
  for (std::int64_t i = 0; i < operands; ++i) items.push_back(body.input());
  whole = items;
  std::string length;
  if (lengths) {
    const AttrMap as_int64 = attrs({{"to", static_cast<std::int64_t>(DType::kInt64)}});
    length = body.add("Reshape", {body.input(), one}, 1)[0];
    length = body.add("Cast", {length}, 1, as_int64)[0];
    for (std::size_t i = states; i < items.size(); ++i) {
      items[i] = body.add("Slice", {items[i], zero, length, zero}, 1)[0];
    }
  }
  const NameList results = body.add("Scan", items, r.node.outputs.size(), std::move(inner));
  // Behind the end of a sequence, results are zero up to the length of the longest.
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!lengths || i < states) {
      body.output(results[i]);
      continue;
    }
    const std::string longest =
        body.add("Shape", {whole.back()}, 1,
                 attrs({{"start", std::int64_t{0}}, {"end", std::int64_t{1}}}))[0];
    const std::string missing = body.add("Sub", {longest, length}, 1)[0];
    const std::string pads =
        body.add("Concat", {zero, missing}, 1, attrs({{"axis", std::int64_t{0}}}))[0];
    body.output(body.add("Pad", {results[i], pads, "", zero}, 1)[0]);
  }
  NameList inputs(r.node.inputs.begin() + 1, r.node.inputs.end());
  if (lengths) inputs.push_back(r.input(0));
  const auto sliced = static_cast<std::int64_t>(inputs.size());
  r.become("Scan", std::move(inputs),
           attrs({{"num_scan_inputs", sliced}, {"body", body.finish()}}));
}

constexpr Rule kRules[] = {{"Scan", 8, 8, scan_8}};

}  // namespace

std::span<const Rule> control_rules() { return kRules; }

}  // namespace lanewise::onnx
