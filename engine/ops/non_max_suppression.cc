// NonMaxSuppression: boxes in order of their scores, without those that overlap a better one.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_non_max_suppression(InferContext& c) {
  c.expect_rank(0, 3, 3);
  c.expect_rank(1, 3, 3);
  c.expect_dtype(0, {DType::kFloat32});
  c.expect_dtype(1, {DType::kFloat32});
  const Shape& boxes = c.shape(0);
  const Shape& scores = c.shape(1);
  if (boxes[2] != 4 || scores[0] != boxes[0] || scores[2] != boxes[1]) {
    c.fail("expected boxes [batch, count, 4] and scores [batch, classes, count], found " +
           boxes.str() + " and " + scores.str());
  }
  for (int i = 2; i < 5; ++i) {
    if (!c.has_input(i)) continue;
    c.expect_dtype(i, {i == 2 ? DType::kInt64 : DType::kFloat32});
    if (c.shape(i).elements() != 1) {
      c.fail("input " + std::to_string(i) + " must be one number, found shape " + c.shape(i).str());
    }
  }
  const std::int64_t form = c.attr_int("center_point_box");
  if (form != 0 && form != 1) {
    c.fail("attribute 'center_point_box' is " + std::to_string(form) + ", expected 0 or 1");
  }
  c.set_output(0, DType::kInt64, Shape{kUnknown, 3});
}

struct Box {
  float y0, x0, y1, x1;
};

Box corners(const float* box, bool centered) {
  if (centered) {
    return {box[1] - box[3] / 2, box[0] - box[2] / 2, box[1] + box[3] / 2, box[0] + box[2] / 2};
  }
  return {std::min(box[0], box[2]), std::min(box[1], box[3]), std::max(box[0], box[2]),
          std::max(box[1], box[3])};
}

// Whether the intersection over the union of two boxes is above the threshold.
bool overlaps(const Box& a, const Box& b, float threshold) {
  const float height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  if (!(height > 0) || !(width > 0)) return false;
  const float common = height * width;
  const float area_a = (a.y1 - a.y0) * (a.x1 - a.x0), area_b = (b.y1 - b.y0) * (b.x1 - b.x0);
  const float both = area_a + area_b - common;
  if (common <= 0 || area_a <= 0 || area_b <= 0 || both <= 0) return false;
  return common / both > threshold;
}

struct Candidate {
  float score;
  std::int64_t box;

  // Worse: equal scores are taken in the order of the boxes.
  bool operator<(const Candidate& other) const {
    return score < other.score || (score == other.score && box > other.box);
  }
};

// The candidates of one class as a heap, for few of many are taken; NaN never is.
std::vector<Candidate> candidates(const float* scores, std::int64_t count,
                                  const std::optional<float>& least) {
  std::vector<Candidate> heap;
  for (std::int64_t i = 0; i < count; ++i) {
    if (!std::isnan(scores[i]) && (!least || scores[i] > *least)) heap.push_back({scores[i], i});
  }
  std::make_heap(heap.begin(), heap.end());
  return heap;
}

struct Limits {
  std::int64_t most = 0;
  float overlap = 0;
  std::optional<float> score;
};

std::vector<std::int64_t> select(const std::vector<Box>& boxes, const float* scores,
                                 const Limits& limits) {
  std::vector<Candidate> heap =
      candidates(scores, static_cast<std::int64_t>(boxes.size()), limits.score);
  std::vector<std::int64_t> selected;
  std::vector<Box> taken;
  while (!heap.empty() && static_cast<std::int64_t>(selected.size()) < limits.most) {
    std::pop_heap(heap.begin(), heap.end());
    const std::int64_t candidate = heap.back().box;
    heap.pop_back();
    const Box& box = boxes[static_cast<std::size_t>(candidate)];
    const bool free = std::none_of(taken.begin(), taken.end(), [&](const Box& other) {
      return overlaps(box, other, limits.overlap);
    });
    if (!free) continue;
    selected.push_back(candidate);
    taken.push_back(box);
  }
  return selected;
}

Step lower_non_max_suppression(LowerContext& c) {
  Step step;
  step.algorithm = "greedy";
  step.run = [scores_shape = c.shape(1),
              centered = c.attr_int("center_point_box") == 1](const RunContext& run) {
    Limits limits;
    if (run.has_in(2)) limits.most = *run.in<std::int64_t>(2);
    if (run.has_in(3)) limits.overlap = *run.in<float>(3);
    if (run.has_in(4)) limits.score = *run.in<float>(4);
    const std::int64_t classes = scores_shape[1], count = scores_shape[2];
    std::vector<std::int64_t> rows;
    for (std::int64_t image = 0; image < scores_shape[0]; ++image) {
      std::vector<Box> boxes;
      for (std::int64_t i = 0; i < count; ++i) {
        boxes.push_back(corners(run.in<float>(0) + (image * count + i) * 4, centered));
      }
      for (std::int64_t k = 0; k < classes; ++k) {
        const float* scores = run.in<float>(1) + (image * classes + k) * count;
        for (std::int64_t box : select(boxes, scores, limits)) {
          rows.insert(rows.end(), {image, k, box});
        }
      }
    }
    const auto selected = static_cast<std::int64_t>(rows.size()) / 3;
    run.emitter->emit(
        0, Tensor::from(std::span<const std::int64_t>(rows)).reshaped(Shape{selected, 3}));
  };
  return step;
}

constexpr AttrDef kAttrs[] = {{.name = "center_point_box",
                               .type = AttrType::kInt,
                               .doc = "0: boxes are two opposite corners (y, x, y, x); 1: centre "
                                      "and size (x, y, width, height)"}};

constexpr OpDef kOps[] = {
    {.name = "NonMaxSuppression",
     .doc = "Indices of the boxes that no better box of their class overlaps.",
     .min_inputs = 2,
     .max_inputs = 5,
     .attributes = kAttrs,
     .infer = infer_non_max_suppression,
     .lower = lower_non_max_suppression,
     .flops = no_flops},
};

}  // namespace

extern const OpTable non_max_suppression_ops;
const OpTable non_max_suppression_ops = {kOps};

}  // namespace lanewise
