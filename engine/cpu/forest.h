// Decision trees: nodes in one array, walked row by row. What attributes they come from is the
// operators' matter.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lanewise {

struct TreeNode {
  // In ONNX's order (TreeEnsemble's nodes_modes).
  enum class Mode : std::uint8_t { kLeq, kLt, kGte, kGt, kEq, kNeq, kMember };
  double split = 0;
  std::int32_t feature = 0;
  std::int32_t yes = 0, no = 0;  // a node from 0 on, or ~leaf
  std::int32_t members = 0;      // index in Forest::members
  Mode mode = Mode::kLeq;
  bool missing_yes = false;  // where NaN goes
};

struct Vote {
  std::int32_t target = 0;
  double weight = 0;
};

class Forest {
 public:
  enum class Aggregate : std::uint8_t { kAverage, kSum, kMin, kMax };

  std::vector<TreeNode> nodes;
  std::vector<std::int32_t> roots;  // a node or ~leaf
  std::vector<std::vector<Vote>> leaves;
  std::vector<std::vector<double>> members;  // each sorted

  // What keeps walks from ending well: a cycle, a feature outside `features`, a target outside
  // `targets`. Empty when there is nothing.
  std::string fault(std::int64_t features, std::int64_t targets) const;

  // Aggregates the votes of every tree for the row `x`. `scores` and `voted` have an entry for each
  // target; those without a vote get 0.
  void predict(const double* x, Aggregate aggregate, std::vector<double>& scores,
               std::vector<char>& voted) const;

 private:
  std::int32_t leaf_of(std::int32_t at, const double* x) const;
};

}  // namespace lanewise
