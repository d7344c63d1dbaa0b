// Old forms of arithmetic, comparisons, reductions, Clip and Softmax.
#include <limits>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

// Before opset 7 the second operand was broadcast on request, from `axis` on.
void broadcast_6(Rewriter& r) {
  const bool wanted = r.take<std::int64_t>("broadcast").value_or(0) != 0;
  const auto axis = r.take<std::int64_t>("axis");
  if (!wanted || !axis) return;
  if (*axis < -kMaxRank || *axis > kMaxRank) r.fail("attribute 'axis' is outside of any tensor");
  const std::string b = r.input(1);
  // A's rank - axis - B's rank dimensions are missing behind B; a negative axis counts from the
  // end.
  const std::string behind =
      *axis < 0 ? r.ints({-*axis}) : r.before("Sub", {r.rank_of(r.input(0)), r.ints({*axis})});
  r.set_input(1, r.append_dims(b, r.before("Sub", {behind, r.rank_of(b)})));
}

void gemm_6(Rewriter& r) { r.drop("broadcast"); }

// The slope of each channel, then broadcast like any operand: behind it stand the spatial axes.
void prelu_6(Rewriter& r) {
  const Tensor* slope = r.content(r.input(1));
  if (slope != nullptr && (slope->shape().rank() != 1 || slope->elements() == 1)) return;
  const std::string spatial = r.before("Sub", {r.rank_of(r.input(0)), r.ints({2})});
  const std::string count = r.before("Max", {spatial, r.ints({0})});
  r.set_input(1, r.append_dims(r.input(1), count));
}

void axes_to_input(Rewriter& r) { r.ints_to_input("axes", 1); }

void clip_10(Rewriter& r) {
  const auto least = r.take<float>("min");
  const auto most = r.take<float>("max");
  const DType dtype = r.type_of(r.input(0));
  // The old defaults are the float range's ends: no bound at all.
  constexpr float kLargest = std::numeric_limits<float>::max();
  if (least && *least > -kLargest) r.set_input(1, r.number(*least, dtype));
  if (most && *most < kLargest) r.set_input(2, r.number(*most, dtype));
}

// The input was a matrix: dimensions from `axis` on formed one row.
void softmax_12(Rewriter& r) {
  r.set_default("axis", std::int64_t{1});
  r.set("flatten_2d", std::int64_t{1});
}

// The first schema rounded its constants otherwise.
void selu_5(Rewriter& r) {
  r.set_default("alpha", 1.6732f);
  r.set_default("gamma", 1.0507f);
}

void dft_19(Rewriter& r) {
  const std::int64_t axis = r.take<std::int64_t>("axis").value_or(1);
  r.set_input(2, r.constant(Tensor::scalar(axis)));
}

constexpr Rule kRules[] = {
    {"Add", 1, 6, broadcast_6},
    {"Sub", 1, 6, broadcast_6},
    {"Mul", 1, 6, broadcast_6},
    {"Div", 1, 6, broadcast_6},
    {"Pow", 1, 6, broadcast_6},
    {"And", 1, 6, broadcast_6},
    {"Or", 1, 6, broadcast_6},
    {"Xor", 1, 6, broadcast_6},
    {"Equal", 1, 6, broadcast_6},
    {"Greater", 1, 6, broadcast_6},
    {"Less", 1, 6, broadcast_6},
    {"Gemm", 1, 6, gemm_6},
    {"PRelu", 1, 6, prelu_6},
    {"ReduceSum", 1, 12, axes_to_input},
    {"ReduceL1", 1, 17, axes_to_input},
    {"ReduceL2", 1, 17, axes_to_input},
    {"ReduceLogSum", 1, 17, axes_to_input},
    {"ReduceLogSumExp", 1, 17, axes_to_input},
    {"ReduceMax", 1, 17, axes_to_input},
    {"ReduceMean", 1, 17, axes_to_input},
    {"ReduceMin", 1, 17, axes_to_input},
    {"ReduceProd", 1, 17, axes_to_input},
    {"ReduceSumSquare", 1, 17, axes_to_input},
    {"Clip", 1, 10, clip_10},
    {"Softmax", 1, 12, softmax_12},
    {"LogSoftmax", 1, 12, softmax_12},
    {"Hardmax", 1, 12, softmax_12},
    {"Selu", 1, 5, selu_5},
    {"DFT", 17, 19, dft_19},
};

}  // namespace

std::span<const Rule> math_rules() { return kRules; }

}  // namespace lanewise::onnx
