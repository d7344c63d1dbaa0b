// TreeEnsemble of ai.onnx.ml: leaves apart from nodes. The forms before it are in
// tree_ensemble_old.cc, walking trees in engine/cpu/forest.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/base/parallel.h"
#include "engine/cpu/forest.h"
#include "engine/ops/ml.h"

namespace lanewise {
namespace {

using ml::Transform;

constexpr Transform kTransforms[] = {Transform::kNone, Transform::kSoftmax, Transform::kLogistic,
                                     Transform::kSoftmaxZero, Transform::kProbit};

// An attribute in [0, end).
std::int64_t enumerated(const OpContext& c, std::string_view name, std::int64_t end) {
  const std::int64_t value = c.attr_int(name);
  if (value < 0 || value >= end) {
    c.fail("attribute '" + std::string(name) + "' is " + std::to_string(value) +
           ", expected 0 to " + std::to_string(end - 1));
  }
  return value;
}

std::vector<double> numbers(const OpContext& c, std::string_view name) {
  const Tensor* tensor = c.attr_tensor(name);
  return tensor == nullptr ? std::vector<double>{} : tensor->float_values();
}

class Builder {
 public:
  explicit Builder(const OpContext& c)
      : c_(c),
        yes_(c.attr_ints("nodes_truenodeids")),
        no_(c.attr_ints("nodes_falsenodeids")),
        yes_leaf_(c.attr_ints("nodes_trueleafs")),
        no_leaf_(c.attr_ints("nodes_falseleafs")) {}

  Forest build() {
    add_leaves();
    add_nodes();
    for (std::int64_t root : c_.attr_ints("tree_roots")) {
      forest_.roots.push_back(index("tree_roots", root, forest_.nodes.size()));
    }
    return std::move(forest_);
  }

 private:
  std::int32_t index(std::string_view name, std::int64_t value, std::size_t end) const {
    if (value < 0 || value >= static_cast<std::int64_t>(end)) {
      c_.fail("attribute '" + std::string(name) + "' has " + std::to_string(value) +
              ", expected 0 to " + std::to_string(static_cast<std::int64_t>(end) - 1));
    }
    return static_cast<std::int32_t>(value);
  }

  void add_leaves() {
    const std::vector<double> weights = numbers(c_, "leaf_weights");
    const std::vector<std::int64_t> targets = c_.attr_ints("leaf_targetids");
    ml::expect_length(c_, "leaf_targetids", targets.size(),
                      static_cast<std::int64_t>(weights.size()));
    const auto count = static_cast<std::size_t>(ml::targets_of(c_));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      forest_.leaves.push_back({{index("leaf_targetids", targets[i], count), weights[i]}});
    }
  }

  std::int32_t branch(std::string_view name, std::int64_t to, bool leaf) const {
    return leaf ? ~index(name, to, forest_.leaves.size()) : index(name, to, yes_.size());
  }

  void add_nodes() {
    const auto count = static_cast<std::int64_t>(yes_.size());
    const std::vector<std::int64_t> features = c_.attr_ints("nodes_featureids");
    const std::vector<std::int64_t> missing = c_.attr_ints("nodes_missing_value_tracks_true");
    const std::vector<std::int64_t> modes = c_.attr_tensor("nodes_modes")->int_values();
    const std::vector<double> splits = numbers(c_, "nodes_splits");
    ml::expect_length(c_, "nodes_falsenodeids", no_.size(), count);
    ml::expect_length(c_, "nodes_trueleafs", yes_leaf_.size(), count);
    ml::expect_length(c_, "nodes_falseleafs", no_leaf_.size(), count);
    ml::expect_length(c_, "nodes_featureids", features.size(), count);
    ml::expect_length(c_, "nodes_modes", modes.size(), count);
    ml::expect_length(c_, "nodes_splits", splits.size(), count);
    if (!missing.empty())
      ml::expect_length(c_, "nodes_missing_value_tracks_true", missing.size(), count);
    for (std::size_t i = 0; i < yes_.size(); ++i) {
      TreeNode node;
      node.mode = static_cast<TreeNode::Mode>(index("nodes_modes", modes[i], 7));
      node.split = splits[i];
      // The input's width, an int64 as well, is compared where it is known.
      node.feature = index("nodes_featureids", features[i], std::size_t{1} << 31);
      node.yes = branch("nodes_truenodeids", yes_[i], yes_leaf_[i] != 0);
      node.no = branch("nodes_falsenodeids", no_[i], no_leaf_[i] != 0);
      node.missing_yes = !missing.empty() && missing[i] != 0;
      if (node.mode == TreeNode::Mode::kMember) {
        node.members = static_cast<std::int32_t>(members_needed_++);
      }
      forest_.nodes.push_back(node);
    }
    add_members();
  }

  // Sets in the order of the nodes that test them, each ended by a NaN.
  void add_members() {
    forest_.members.emplace_back();
    for (double value : numbers(c_, "membership_values")) {
      if (std::isnan(value)) {
        forest_.members.emplace_back();
      } else {
        forest_.members.back().push_back(value);
      }
    }
    if (forest_.members.back().empty()) forest_.members.pop_back();
    if (forest_.members.size() != members_needed_) {
      c_.fail("attribute 'membership_values' has " + std::to_string(forest_.members.size()) +
              " sets, the nodes test " + std::to_string(members_needed_));
    }
    for (std::vector<double>& set : forest_.members) std::sort(set.begin(), set.end());
  }

  const OpContext& c_;
  std::vector<std::int64_t> yes_, no_, yes_leaf_, no_leaf_;
  std::size_t members_needed_ = 0;
  Forest forest_;
};

void infer_ensemble(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 2, 2);
  (void)enumerated(c, "aggregate_function", 4);
  (void)enumerated(c, "post_transform", 5);
  c.set_output(0, c.dtype(0), {c.shape(0)[0], ml::targets_of(c)});
}

Step lower_ensemble(LowerContext& c) {
  const ml::Rows rows = ml::expect_rows(c);
  const auto targets = static_cast<std::size_t>(ml::targets_of(c));
  auto forest = std::make_shared<const Forest>(Builder(c).build());
  const std::string fault = forest->fault(rows.columns, ml::targets_of(c));
  if (!fault.empty()) c.fail(fault);
  const auto aggregate = static_cast<Forest::Aggregate>(c.attr_int("aggregate_function"));
  const Transform transform = kTransforms[c.attr_int("post_transform")];
  const DType dtype = c.dtype(0);
  Step step;
  step.algorithm = "trees";
  step.run = [=](const RunContext& run) {
    ml::for_rows(run, dtype, rows, [&](std::int64_t row, const double* x) {
      std::vector<double> scores(targets);
      std::vector<char> voted(targets);
      forest->predict(x, aggregate, scores, voted);
      if (transform != Transform::kNone) {
        std::vector<float> floats(scores.begin(), scores.end());
        ml::transform_scores(transform, floats);
        std::copy(floats.begin(), floats.end(), scores.begin());
      }
      const std::int64_t at = row * static_cast<std::int64_t>(targets);
      if (dtype == DType::kFloat64) {
        std::copy(scores.begin(), scores.end(), run.out<double>(0) + at);
      } else {
        std::transform(scores.begin(), scores.end(), run.out<float>(0) + at,
                       [](double v) { return static_cast<float>(v); });
      }
    });
  };
  return step;
}

constexpr AttrDef kAttrs[] = {
    {.name = "aggregate_function",
     .type = AttrType::kInt,
     .doc = "0 average, 1 sum, 2 least, 3 largest of the leaves' weights",
     .int_default = 1},
    {.name = "post_transform",
     .type = AttrType::kInt,
     .doc = "0 none, 1 softmax, 2 logistic, 3 softmax that keeps zeros, 4 probit"},
    {.name = "n_targets", .type = AttrType::kInt, .doc = "number of outputs per row"},
    {.name = "tree_roots", .type = AttrType::kInts, .doc = "root nodes", .required = true},
    {.name = "nodes_splits", .type = AttrType::kTensor, .doc = "thresholds", .required = true},
    {.name = "nodes_modes",
     .type = AttrType::kTensor,
     .doc = "comparisons: 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=, 6 in a set",
     .required = true},
    {.name = "nodes_featureids",
     .type = AttrType::kInts,
     .doc = "features compared",
     .required = true},
    {.name = "nodes_truenodeids",
     .type = AttrType::kInts,
     .doc = "node or leaf where it holds",
     .required = true},
    {.name = "nodes_trueleafs",
     .type = AttrType::kInts,
     .doc = "1 where that is a leaf",
     .required = true},
    {.name = "nodes_falsenodeids",
     .type = AttrType::kInts,
     .doc = "node or leaf where it does not",
     .required = true},
    {.name = "nodes_falseleafs",
     .type = AttrType::kInts,
     .doc = "1 where that is a leaf",
     .required = true},
    {.name = "nodes_missing_value_tracks_true",
     .type = AttrType::kInts,
     .doc = "1 where NaN takes the true branch; none if absent"},
    {.name = "nodes_hitrates", .type = AttrType::kTensor, .doc = "not used"},
    {.name = "membership_values",
     .type = AttrType::kTensor,
     .doc = "the sets of the nodes that test one, each ended by NaN; optional"},
    {.name = "leaf_targetids",
     .type = AttrType::kInts,
     .doc = "output that a leaf votes for",
     .required = true},
    {.name = "leaf_weights", .type = AttrType::kTensor, .doc = "its vote", .required = true},
};

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "TreeEnsemble",
     .doc = "Votes of decision trees, aggregated per output.",
     .attributes = kAttrs,
     .infer = infer_ensemble,
     .lower = lower_ensemble},
};

}  // namespace

extern const OpTable tree_ensemble_ops;
const OpTable tree_ensemble_ops = {kOps};

}  // namespace lanewise
