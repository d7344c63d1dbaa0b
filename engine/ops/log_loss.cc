// NegativeLogLikelihoodLoss. SoftmaxCrossEntropyLoss becomes it behind a LogSoftmax when a file is
// read (engine/onnx/upgrade_nn.cc).
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

enum class LossReduction { kNone, kSum, kMean };

LossReduction loss_reduction(const OpContext& c) {
  const std::string_view name = c.attr_string("reduction");
  if (name == "none") return LossReduction::kNone;
  if (name == "sum") return LossReduction::kSum;
  if (name == "mean") return LossReduction::kMean;
  c.fail("attribute 'reduction' is '" + std::string(name) + "', expected none, sum or mean");
}

// The labels' shape: that of the scores without the classes.
Shape labels_shape(const Shape& scores) {
  Shape result{scores[0]};
  for (int i = 2; i < scores.rank(); ++i) result.push_back(scores[i]);
  return result;
}

void infer_log_loss(InferContext& c) {
  expect_types(c, 0, kFloats);
  c.expect_dtype(1, {DType::kInt32, DType::kInt64});
  const Shape& scores = c.shape(0);
  if (scores.rank() < 2) {
    c.fail("input 0 must have shape [N, C, ...], found " + scores.str());
  }
  const Shape labels = labels_shape(scores);
  if (c.shape(1) != labels) {
    c.fail("the labels (input 1) must have shape " + labels.str() + " for scores of shape " +
           scores.str() + ", found " + c.shape(1).str());
  }
  if (c.has_input(2)) {
    c.expect_same_dtype(0, 2);
    if (c.shape(2) != Shape{scores[1]}) {
      c.fail("the weights (input 2) must have shape " + Shape{scores[1]}.str() + ", found " +
             c.shape(2).str());
    }
  }
  const bool each = loss_reduction(c) == LossReduction::kNone;
  c.set_output(0, c.dtype(0), each ? labels : Shape{});
}

struct LossPlan {
  LossReduction reduction = LossReduction::kMean;
  std::int64_t classes = 0, inner = 1, positions = 0;
  std::optional<std::int64_t> ignored;
  DType label_type = DType::kInt64;
  std::string where;

  std::int64_t label(const void* labels, std::int64_t i) const {
    return label_type == DType::kInt64 ? static_cast<const std::int64_t*>(labels)[i]
                                       : static_cast<const std::int32_t*>(labels)[i];
  }
};

// Sums of one block of positions; a block's size is fixed, so that the order of summation is too.
struct LossPart {
  double loss = 0, weight = 0;
};
constexpr std::int64_t kBlock = 4096;

template <class T>
LossPart loss_block(const LossPlan& plan, const RunContext& run, std::int64_t begin,
                    std::int64_t end, std::atomic<std::int64_t>& wrong) {
  const T* scores = run.in<T>(0);
  const T* weights = run.has_in(2) ? run.in<T>(2) : nullptr;
  LossPart part;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t label = plan.label(run.inputs[1], i);
    T loss = 0, weight = 0;
    if (!plan.ignored || label != *plan.ignored) {
      if (label < 0 || label >= plan.classes) {
        wrong = i;
        return part;
      }
      weight = weights == nullptr ? T{1} : weights[label];
      const std::int64_t at = (i / plan.inner * plan.classes + label) * plan.inner + i % plan.inner;
      loss = -scores[at] * weight;
    }
    if (plan.reduction == LossReduction::kNone) run.out<T>(0)[i] = loss;
    part.loss += static_cast<double>(loss);
    part.weight += static_cast<double>(weight);
  }
  return part;
}

template <class T>
void log_loss(const LossPlan& plan, const RunContext& run) {
  auto* parts = reinterpret_cast<LossPart*>(run.scratch);
  std::atomic<std::int64_t> wrong = -1;
  const std::int64_t blocks = (plan.positions + kBlock - 1) / kBlock;
  parallel_tasks(run.threads, blocks, [&](std::int64_t block, int) {
    const std::int64_t begin = block * kBlock;
    parts[block] = loss_block<T>(plan, run, begin, std::min(begin + kBlock, plan.positions), wrong);
  });
  if (wrong >= 0) {
    throw ModelError(plan.where + "label " + std::to_string(wrong) + " is " +
                     std::to_string(plan.label(run.inputs[1], wrong)) + ", expected 0 to " +
                     std::to_string(plan.classes - 1) + " or the ignored one");
  }
  if (plan.reduction == LossReduction::kNone) return;
  LossPart total;
  for (std::int64_t block = 0; block < blocks; ++block) {
    total.loss += parts[block].loss;
    total.weight += parts[block].weight;
  }
  const bool mean = plan.reduction == LossReduction::kMean;
  *run.out<T>(0) = static_cast<T>(mean ? total.loss / total.weight : total.loss);
}

Step lower_log_loss(LowerContext& c) {
  const Shape& scores = c.shape(0);
  LossPlan plan;
  plan.reduction = loss_reduction(c);
  plan.classes = scores[1];
  plan.inner = scores.elements(2, scores.rank());
  plan.positions = c.shape(1).elements();
  if (c.has_attr("ignore_index")) plan.ignored = c.attr_int("ignore_index");
  plan.label_type = c.dtype(1);
  plan.where = c.where();
  Step step;
  step.algorithm = "gather";
  step.scratch_bytes =
      static_cast<std::size_t>((plan.positions + kBlock - 1) / kBlock) * sizeof(LossPart);
  step.run = [plan, wide = c.dtype(0) == DType::kFloat64](const RunContext& run) {
    wide ? log_loss<double>(plan, run) : log_loss<float>(plan, run);
  };
  return step;
}

double log_loss_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 2.0 * static_cast<double>(c.shape(1).elements());
}

constexpr AttrDef kAttrs[] = {{.name = "ignore_index",
                               .type = AttrType::kInt,
                               .doc = "label of positions that do not count; optional"},
                              {.name = "reduction",
                               .type = AttrType::kString,
                               .doc = "none, sum, or mean: the sum divided by that of the weights",
                               .string_default = "mean"}};

constexpr OpDef kOps[] = {
    {.name = "NegativeLogLikelihoodLoss",
     .doc = "Minus the log-probability of each label, weighted by class.",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kAttrs,
     .infer = infer_log_loss,
     .lower = lower_log_loss,
     .flops = log_loss_flops},
};

}  // namespace

extern const OpTable log_loss_ops;
const OpTable log_loss_ops = {kOps};

}  // namespace lanewise
