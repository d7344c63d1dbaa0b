// See forest.h.
#include "engine/cpu/forest.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lanewise {
namespace {

bool takes_yes(const TreeNode& node, double x, const std::vector<std::vector<double>>& members) {
  switch (node.mode) {
    case TreeNode::Mode::kLeq: return x <= node.split;
    case TreeNode::Mode::kLt: return x < node.split;
    case TreeNode::Mode::kGte: return x >= node.split;
    case TreeNode::Mode::kGt: return x > node.split;
    case TreeNode::Mode::kEq: return x == node.split;
    case TreeNode::Mode::kNeq: return x != node.split;
    case TreeNode::Mode::kMember: {
      const std::vector<double>& set = members[static_cast<std::size_t>(node.members)];
      return std::binary_search(set.begin(), set.end(), x);
    }
  }
  return false;
}

// Whether a walk along yes and no comes back to a node. Iterative: trees may be deep.
bool has_cycle(const std::vector<TreeNode>& nodes) {
  enum : char { kNew, kOpen, kDone };
  std::vector<char> state(nodes.size(), kNew);
  std::vector<std::pair<std::int32_t, int>> path;  // node, branches taken
  for (std::size_t start = 0; start < nodes.size(); ++start) {
    if (state[start] != kNew) continue;
    path.emplace_back(static_cast<std::int32_t>(start), 0);
    state[start] = kOpen;
    while (!path.empty()) {
      auto& [at, taken] = path.back();
      const auto index = static_cast<std::size_t>(at);
      if (taken == 2) {
        state[index] = kDone;
        path.pop_back();
        continue;
      }
      const std::int32_t next = taken++ == 0 ? nodes[index].yes : nodes[index].no;
      if (next < 0) continue;
      char& seen = state[static_cast<std::size_t>(next)];
      if (seen == kOpen) return true;
      if (seen == kDone) continue;
      seen = kOpen;
      path.emplace_back(next, 0);
    }
  }
  return false;
}

}  // namespace

std::string Forest::fault(std::int64_t features, std::int64_t targets) const {
  for (const TreeNode& node : nodes) {
    if (node.feature < 0 || node.feature >= features) {
      return "a node splits on feature " + std::to_string(node.feature) + ", the input has " +
             std::to_string(features);
    }
  }
  for (const std::vector<Vote>& votes : leaves) {
    for (const Vote& vote : votes) {
      if (vote.target < 0 || vote.target >= targets) {
        return "a leaf votes for target " + std::to_string(vote.target) + ", expected 0 to " +
               std::to_string(targets - 1);
      }
    }
  }
  return has_cycle(nodes) ? "the nodes of a tree form a cycle" : "";
}

std::int32_t Forest::leaf_of(std::int32_t at, const double* x) const {
  while (at >= 0) {
    const TreeNode& node = nodes[static_cast<std::size_t>(at)];
    const double value = x[node.feature];
    // NaN differs from every split and is in no set; ONNX lets it take either branch.
    const bool yes = (std::isnan(value) && node.missing_yes) || takes_yes(node, value, members);
    at = yes ? node.yes : node.no;
  }
  return ~at;
}

void Forest::predict(const double* x, Aggregate aggregate, std::vector<double>& scores,
                     std::vector<char>& voted) const {
  std::fill(scores.begin(), scores.end(), 0.0);
  std::fill(voted.begin(), voted.end(), char{0});
  for (std::int32_t root : roots) {
    for (const Vote& vote : leaves[static_cast<std::size_t>(leaf_of(root, x))]) {
      const auto target = static_cast<std::size_t>(vote.target);
      double& score = scores[target];
      if (aggregate == Aggregate::kMin && voted[target] != 0) {
        score = std::min(score, vote.weight);
      } else if (aggregate == Aggregate::kMax && voted[target] != 0) {
        score = std::max(score, vote.weight);
      } else {
        score += vote.weight;
      }
      voted[target] = 1;
    }
  }
  if (aggregate != Aggregate::kAverage) return;
  for (double& score : scores) score /= static_cast<double>(roots.size());
}

}  // namespace lanewise
