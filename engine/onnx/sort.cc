// Topological order of a draft's nodes.
#include <algorithm>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/onnx/resolve.h"
#include "engine/onnx/wire.h"

namespace lanewise::onnx {
namespace {

using NameSet = std::unordered_set<std::string_view>;

const DraftGraph* body_of(const DraftAttr& attribute) {
  if (attribute.value == nullptr) return nullptr;
  const auto* body = std::get_if<std::shared_ptr<DraftGraph>>(attribute.value.get());
  return body == nullptr ? nullptr : body->get();
}

void add_free_names(const DraftGraph& graph, NameSet& names);

void add_reads(const DraftNode& node, NameSet& names) {
  for (const std::string& input : node.inputs) {
    if (!input.empty()) names.insert(input);
  }
  for (const auto& [key, attribute] : node.attributes) {
    if (const DraftGraph* body = body_of(attribute)) add_free_names(*body, names);
  }
}

// The names that a body reads and does not define.
void add_free_names(const DraftGraph& graph, NameSet& names) {
  NameSet reads;
  NameSet defined;
  for (const DraftValue& value : graph.inputs) defined.insert(value.name);
  for (const DraftConstant& constant : graph.constants) defined.insert(constant.name);
  for (const DraftNode& node : graph.nodes) {
    defined.insert(node.outputs.begin(), node.outputs.end());
    add_reads(node, reads);
  }
  for (const DraftValue& value : graph.outputs) reads.insert(value.name);
  for (std::string_view name : reads) {
    if (!defined.contains(name)) names.insert(name);
  }
}

struct Makers {
  std::unordered_map<std::string_view, std::size_t> node;  // by the name of the output
  bool unique = true;
};

Makers find_makers(const DraftGraph& graph, Problems& problems) {
  Makers makers;
  std::unordered_map<std::string_view, const char*> given;
  const auto duplicate = [&](const std::string& text) {
    problems.errors.push_back(text + "; each name must be given once");
    makers.unique = false;
  };
  for (const DraftValue& value : graph.inputs) {
    if (!given.emplace(value.name, "a graph input").second) {
      duplicate("input " + quoted(value.name) + " is listed twice");
    }
  }
  NameSet constants;
  for (const DraftConstant& constant : graph.constants) {
    if (!constants.insert(constant.name).second) {
      duplicate("initializer " + quoted(constant.name) + " is given twice");
    }
    given.emplace(constant.name, "an initializer");
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& output : graph.nodes[i].outputs) {
      if (output.empty()) continue;
      if (const auto it = given.find(output); it != given.end()) {
        duplicate(label(graph.nodes[i]) + " makes " + quoted(output) + ", which is also " +
                  it->second);
      } else if (const auto [at, added] = makers.node.emplace(output, i); !added) {
        duplicate(label(graph.nodes[i]) + " makes " + quoted(output) + ", which " +
                  label(graph.nodes[at->second]) + " makes too");
      }
    }
  }
  return makers;
}

// Some cycle among the nodes that could not be placed, as "'a' -> 'b' -> 'a'".
std::string describe_cycle(const DraftGraph& graph,
                           const std::vector<std::vector<std::size_t>>& needs,
                           const std::vector<int>& waiting) {
  std::size_t at = 0;
  while (waiting[at] == 0) ++at;
  std::unordered_map<std::size_t, std::size_t> seen;
  std::vector<std::size_t> path;
  while (seen.emplace(at, path.size()).second) {
    path.push_back(at);
    at = *std::find_if(needs[at].begin(), needs[at].end(),
                       [&](std::size_t maker) { return waiting[maker] != 0; });
  }
  // The walk went from reader to maker.
  std::string text = quoted(graph.nodes[at].name);
  std::size_t listed = 0;
  for (std::size_t i = path.size(); i-- > seen[at];) {
    if (++listed > 10) return text + " -> ...";
    text += " -> " + quoted(graph.nodes[path[i]].name);
  }
  return text;
}

}  // namespace

bool sort_nodes(DraftGraph& graph, Problems& problems) {
  const Makers makers = find_makers(graph, problems);
  if (!makers.unique) return false;
  const std::size_t count = graph.nodes.size();
  std::vector<std::vector<std::size_t>> needs(count);
  std::vector<std::vector<std::size_t>> readers(count);
  std::vector<int> waiting(count, 0);
  bool sorted = true;
  for (std::size_t i = 0; i < count; ++i) {
    NameSet reads;
    add_reads(graph.nodes[i], reads);
    for (std::string_view name : reads) {
      const auto maker = makers.node.find(name);
      if (maker == makers.node.end()) continue;
      needs[i].push_back(maker->second);
      readers[maker->second].push_back(i);
      ++waiting[i];
      sorted = sorted && maker->second < i;
    }
  }
  if (sorted) return true;

  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < count; ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<DraftNode> ordered;
  ordered.reserve(count);
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t node = ready.top();
    ready.pop();
    order.push_back(node);
    for (std::size_t reader : readers[node]) {
      if (--waiting[reader] == 0) ready.push(reader);
    }
  }
  if (order.size() < count) {
    problems.errors.push_back("the graph has a cycle: " + describe_cycle(graph, needs, waiting) +
                              "; a node cannot depend on its own output");
    return false;
  }
  for (std::size_t node : order) ordered.push_back(std::move(graph.nodes[node]));
  graph.nodes = std::move(ordered);
  return true;
}

}  // namespace lanewise::onnx
