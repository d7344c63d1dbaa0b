// TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml, as scikit-learn, LightGBM and
// XGBoost are exported: nodes by (tree, id), leaves among them. TreeEnsemble is in
// tree_ensemble.cc.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "engine/cpu/forest.h"
#include "engine/ops/ml.h"

namespace lanewise {
namespace {

using ml::Transform;
using Key = std::pair<std::int64_t, std::int64_t>;  // tree, node

// A list of floats, or of doubles in the attribute of that name and "_as_tensor".
std::vector<double> numbers(const OpContext& c, const std::string& name) {
  if (const Tensor* tensor = c.attr_tensor(name + "_as_tensor")) return tensor->float_values();
  const std::vector<float> values = c.attr_floats(name);
  return {values.begin(), values.end()};
}

// Ids in files are int64; a forest's are positions.
std::int32_t small(const OpContext& c, const std::string& name, std::int64_t value) {
  if (value < 0 || value >= std::int64_t{1} << 31) {
    c.fail("attribute '" + name + "' has " + std::to_string(value) + ", expected 0 or more");
  }
  return static_cast<std::int32_t>(value);
}

class Builder {
 public:
  // `votes`: "class" or "target", the prefix of the attributes that describe the leaves.
  Builder(const OpContext& c, std::string votes)
      : c_(c),
        votes_(std::move(votes)),
        trees_(c.attr_ints("nodes_treeids")),
        ids_(c.attr_ints("nodes_nodeids")),
        modes_(c.attr_strings("nodes_modes")) {
    ml::expect_length(c, "nodes_nodeids", ids_.size(), static_cast<std::int64_t>(trees_.size()));
    ml::expect_length(c, "nodes_modes", modes_.size(), static_cast<std::int64_t>(trees_.size()));
  }

  Forest build() {
    number_nodes();
    add_nodes();
    add_votes();
    return std::move(forest_);
  }

 private:
  // Leaves and inner nodes get numbers of their own; a tree's first node is its root.
  void number_nodes() {
    std::set<std::int64_t> seen;
    std::int32_t inner = 0;
    for (std::size_t i = 0; i < trees_.size(); ++i) {
      const bool leaf = modes_[i] == "LEAF";
      if (leaf) forest_.leaves.emplace_back();
      const std::int32_t number =
          leaf ? ~static_cast<std::int32_t>(forest_.leaves.size() - 1) : inner++;
      if (!numbers_.emplace(Key(trees_[i], ids_[i]), number).second) {
        c_.fail("node " + std::to_string(ids_[i]) + " of tree " + std::to_string(trees_[i]) +
                " is given twice");
      }
      if (seen.insert(trees_[i]).second) forest_.roots.push_back(number);
    }
  }

  std::int32_t number(std::int64_t tree, std::int64_t id) const {
    const auto it = numbers_.find({tree, id});
    if (it == numbers_.end()) {
      c_.fail("tree " + std::to_string(tree) + " has no node " + std::to_string(id) +
              ", which another node or a vote names");
    }
    return it->second;
  }

  TreeNode::Mode mode(const std::string& name) const {
    constexpr std::pair<std::string_view, TreeNode::Mode> kModes[] = {
        {"BRANCH_LEQ", TreeNode::Mode::kLeq}, {"BRANCH_LT", TreeNode::Mode::kLt},
        {"BRANCH_GTE", TreeNode::Mode::kGte}, {"BRANCH_GT", TreeNode::Mode::kGt},
        {"BRANCH_EQ", TreeNode::Mode::kEq},   {"BRANCH_NEQ", TreeNode::Mode::kNeq}};
    for (const auto& [known, result] : kModes) {
      if (known == name) return result;
    }
    c_.fail("attribute 'nodes_modes' has '" + name +
            "', expected LEAF or BRANCH_LEQ, _LT, _GTE, "
            "_GT, _EQ, _NEQ");
  }

  void add_nodes() {
    const std::vector<std::int64_t> features = c_.attr_ints("nodes_featureids");
    const std::vector<std::int64_t> yes = c_.attr_ints("nodes_truenodeids");
    const std::vector<std::int64_t> no = c_.attr_ints("nodes_falsenodeids");
    const std::vector<std::int64_t> missing = c_.attr_ints("nodes_missing_value_tracks_true");
    const std::vector<double> splits = numbers(c_, "nodes_values");
    const auto count = static_cast<std::int64_t>(trees_.size());
    ml::expect_length(c_, "nodes_featureids", features.size(), count);
    ml::expect_length(c_, "nodes_truenodeids", yes.size(), count);
    ml::expect_length(c_, "nodes_falsenodeids", no.size(), count);
    ml::expect_length(c_, "nodes_values", splits.size(), count);
    if (!missing.empty()) {
      ml::expect_length(c_, "nodes_missing_value_tracks_true", missing.size(), count);
    }
    for (std::size_t i = 0; i < trees_.size(); ++i) {
      if (modes_[i] == "LEAF") continue;
      TreeNode node;
      node.mode = mode(modes_[i]);
      node.split = splits[i];
      node.feature = small(c_, "nodes_featureids", features[i]);
      node.yes = number(trees_[i], yes[i]);
      node.no = number(trees_[i], no[i]);
      node.missing_yes = !missing.empty() && missing[i] != 0;
      forest_.nodes.push_back(node);
    }
  }

  void add_votes() {
    const std::vector<std::int64_t> trees = c_.attr_ints(votes_ + "_treeids");
    const std::vector<std::int64_t> ids = c_.attr_ints(votes_ + "_nodeids");
    const std::vector<std::int64_t> targets = c_.attr_ints(votes_ + "_ids");
    const std::vector<double> weights = numbers(c_, votes_ + "_weights");
    const auto count = static_cast<std::int64_t>(trees.size());
    ml::expect_length(c_, votes_ + "_nodeids", ids.size(), count);
    ml::expect_length(c_, votes_ + "_ids", targets.size(), count);
    ml::expect_length(c_, votes_ + "_weights", weights.size(), count);
    for (std::size_t i = 0; i < trees.size(); ++i) {
      const std::int32_t leaf = number(trees[i], ids[i]);
      if (leaf >= 0) {
        c_.fail("a vote stands at node " + std::to_string(ids[i]) + " of tree " +
                std::to_string(trees[i]) + ", which is no leaf");
      }
      forest_.leaves[static_cast<std::size_t>(~leaf)].push_back(
          {small(c_, votes_ + "_ids", targets[i]), weights[i]});
    }
  }

  const OpContext& c_;
  std::string votes_;
  std::vector<std::int64_t> trees_, ids_;
  std::vector<std::string> modes_;
  std::map<Key, std::int32_t> numbers_;
  Forest forest_;
};

std::shared_ptr<const Forest> forest_of(const OpContext& c, const char* votes,
                                        std::int64_t targets) {
  auto forest = std::make_shared<const Forest>(Builder(c, votes).build());
  const std::string fault = forest->fault(ml::expect_rows(c).columns, targets);
  if (!fault.empty()) c.fail(fault);
  return forest;
}

// Empty, or one for each of `targets` (or one alone).
std::vector<double> base_values(const OpContext& c, std::size_t targets) {
  std::vector<double> values = numbers(c, "base_values");
  if (values.empty() || values.size() == targets || values.size() == 1) return values;
  c.fail("attribute 'base_values' has " + std::to_string(values.size()) + " entries, expected " +
         std::to_string(targets));
}

Forest::Aggregate aggregate_of(const OpContext& c) {
  const std::string_view name = c.attr_string("aggregate_function");
  if (name == "AVERAGE") return Forest::Aggregate::kAverage;
  if (name == "SUM") return Forest::Aggregate::kSum;
  if (name == "MIN") return Forest::Aggregate::kMin;
  if (name == "MAX") return Forest::Aggregate::kMax;
  c.fail("attribute 'aggregate_function' is '" + std::string(name) +
         "', expected AVERAGE, SUM, MIN or MAX");
}

void infer_regressor(InferContext& c) {
  const std::int64_t targets = ml::targets_of(c);
  (void)aggregate_of(c);
  (void)ml::transform_of(c);
  c.set_output(0, DType::kFloat32, {ml::expect_rows(c).rows, targets});
}

Step lower_regressor(LowerContext& c) {
  const std::int64_t targets = ml::targets_of(c);
  const auto count = static_cast<std::size_t>(targets);
  const auto forest = forest_of(c, "target", targets);
  std::vector<double> base = base_values(c, count);
  base.resize(count, 0.0);
  Step step;
  step.algorithm = "trees";
  step.run = [=, rows = ml::expect_rows(c), dtype = c.dtype(0), aggregate = aggregate_of(c),
              transform = ml::transform_of(c)](const RunContext& run) {
    ml::for_rows(run, dtype, rows, [&](std::int64_t row, const double* x) {
      std::vector<double> scores(count);
      std::vector<char> voted(count);
      forest->predict(x, aggregate, scores, voted);
      float* out = run.out<float>(0) + row * targets;
      for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(scores[i] + base[i]);
      ml::transform_scores(transform, {out, count});
    });
  };
  return step;
}

ml::Labels labels_of(const OpContext& c) {
  ml::Labels labels = ml::labels_of(c, "classlabels_int64s", "classlabels_strings");
  if (labels.size() < 2) c.unsupported("one class label is not supported; give two or more");
  return labels;
}

void infer_classifier(InferContext& c) {
  const ml::Labels labels = labels_of(c);
  const std::int64_t rows = ml::expect_rows(c).rows;
  (void)ml::transform_of(c);
  c.set_output(0, labels.dtype(), {rows});
  c.set_output(1, DType::kFloat32, {rows, static_cast<std::int64_t>(labels.size())});
}

class Classifier {
 public:
  explicit Classifier(const LowerContext& c)
      : labels_(labels_of(c)),
        rows_(ml::expect_rows(c)),
        dtype_(c.dtype(0)),
        transform_(ml::transform_of(c)),
        forest_(forest_of(c, "class", static_cast<std::int64_t>(labels_.size()))),
        base_(base_values(c, labels_.size())) {
    const std::vector<std::int64_t> ids = c.attr_ints("class_ids");
    binary_ = labels_.size() == 2 && std::set<std::int64_t>(ids.begin(), ids.end()).size() == 1;
    only_ = binary_ ? static_cast<std::size_t>(ids[0]) : 0;
    const std::vector<double> weights = numbers(c, "class_weights");
    positive_ = std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0; });
  }

  void run(const RunContext& run) const {
    const std::size_t count = labels_.size();
    ml::for_rows(run, dtype_, rows_, [&](std::int64_t row, const double* x) {
      std::vector<double> scores(count);
      std::vector<char> voted(count);
      forest_->predict(x, Forest::Aggregate::kSum, scores, voted);
      std::vector<float> floats;
      const std::size_t best = decide(scores, floats);
      labels_.put(run, row, best);
      if (!run.has_out(1)) return;
      float* out = run.out<float>(1) + row * static_cast<std::int64_t>(count);
      ml::write_scores(floats, transform_,
                       positive_ ? ml::Second::kComplement : ml::Second::kNegative, {out, count});
    });
  }

 private:
  // The winning class, and the scores. Two classes with votes for one of them alone: its score, in
  // whichever place, is the second class's; it decides against the middle of a probability where no
  // weight is negative, else against 0.
  std::size_t decide(std::vector<double>& scores, std::vector<float>& floats) const {
    if (binary_) {
      const double base = base_.empty() ? 0.0 : base_[base_.size() - 1];
      const auto score = static_cast<float>(scores[only_] + base);
      if (only_ == 1) floats.push_back(0);
      floats.push_back(score);
      return score > (positive_ ? 0.5f : 0.0f) ? 1 : 0;
    }
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (!base_.empty()) scores[i] += base_[std::min(i, base_.size() - 1)];
      floats.push_back(static_cast<float>(scores[i]));
    }
    return static_cast<std::size_t>(std::max_element(floats.begin(), floats.end()) -
                                    floats.begin());
  }

  ml::Labels labels_;
  ml::Rows rows_;
  DType dtype_;
  Transform transform_;
  std::shared_ptr<const Forest> forest_;
  std::vector<double> base_;
  bool binary_ = false, positive_ = false;
  std::size_t only_ = 0;
};

Step lower_classifier(LowerContext& c) { return step_of<Classifier>(c, "trees"); }

#define LANEWISE_TREE_ATTRS                                                                        \
  ml::kPostTransform, {.name = "nodes_treeids", .type = AttrType::kInts, .doc = "tree of a node"}, \
      {.name = "nodes_nodeids", .type = AttrType::kInts, .doc = "its id in the tree"},             \
      {.name = "nodes_modes", .type = AttrType::kStrings, .doc = "LEAF, or BRANCH_ and LEQ, ..."}, \
      {.name = "nodes_featureids", .type = AttrType::kInts, .doc = "feature compared"},            \
      {.name = "nodes_values", .type = AttrType::kFloats, .doc = "thresholds"},                    \
      {.name = "nodes_values_as_tensor", .type = AttrType::kTensor, .doc = "the same as doubles"}, \
      {.name = "nodes_truenodeids", .type = AttrType::kInts, .doc = "node where it holds"},        \
      {.name = "nodes_falsenodeids", .type = AttrType::kInts, .doc = "node where it does not"},    \
      {.name = "nodes_missing_value_tracks_true",                                                  \
       .type = AttrType::kInts,                                                                    \
       .doc = "1 where NaN takes the true branch; none if absent"},                                \
      {.name = "nodes_hitrates", .type = AttrType::kFloats, .doc = "not used"},                    \
      {.name = "nodes_hitrates_as_tensor", .type = AttrType::kTensor, .doc = "not used"},          \
      {.name = "base_values", .type = AttrType::kFloats, .doc = "added to the scores"},            \
      {.name = "base_values_as_tensor", .type = AttrType::kTensor, .doc = "the same as doubles"}

constexpr AttrDef kRegressorAttrs[] = {
    LANEWISE_TREE_ATTRS,
    {.name = "n_targets", .type = AttrType::kInt, .doc = "number of outputs per row"},
    {.name = "aggregate_function",
     .type = AttrType::kString,
     .doc = "AVERAGE, SUM, MIN or MAX",
     .string_default = "SUM"},
    {.name = "target_treeids", .type = AttrType::kInts, .doc = "tree of a vote"},
    {.name = "target_nodeids", .type = AttrType::kInts, .doc = "its leaf"},
    {.name = "target_ids", .type = AttrType::kInts, .doc = "output that it counts for"},
    {.name = "target_weights", .type = AttrType::kFloats, .doc = "its weight"},
    {.name = "target_weights_as_tensor", .type = AttrType::kTensor, .doc = "the same as doubles"},
};
constexpr AttrDef kClassifierAttrs[] = {
    LANEWISE_TREE_ATTRS,
    {.name = "classlabels_int64s", .type = AttrType::kInts, .doc = "labels, or"},
    {.name = "classlabels_strings", .type = AttrType::kStrings, .doc = "labels as texts"},
    {.name = "class_treeids", .type = AttrType::kInts, .doc = "tree of a vote"},
    {.name = "class_nodeids", .type = AttrType::kInts, .doc = "its leaf"},
    {.name = "class_ids", .type = AttrType::kInts, .doc = "class that it counts for"},
    {.name = "class_weights", .type = AttrType::kFloats, .doc = "its weight"},
    {.name = "class_weights_as_tensor", .type = AttrType::kTensor, .doc = "the same as doubles"},
};
#undef LANEWISE_TREE_ATTRS

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "TreeEnsembleClassifier",
     .doc = "The class that decision trees vote for, and the scores of all.",
     .max_outputs = 2,
     .attributes = kClassifierAttrs,
     .infer = infer_classifier,
     .lower = lower_classifier},
    {.domain = ml::kDomain,
     .name = "TreeEnsembleRegressor",
     .doc = "Votes of decision trees, aggregated per output.",
     .attributes = kRegressorAttrs,
     .infer = infer_regressor,
     .lower = lower_regressor},
};

}  // namespace

extern const OpTable tree_ensemble_old_ops;
const OpTable tree_ensemble_old_ops = {kOps};

}  // namespace lanewise
