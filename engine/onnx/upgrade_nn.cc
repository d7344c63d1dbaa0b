// Old forms of normalisation, dropout, recurrent and pooling operators.
#include <algorithm>
#include <cmath>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

// Statistics for every element of a sample instead of every channel: plain arithmetic.
void per_element_normalization(Rewriter& r) {
  const float epsilon = r.take<float>("epsilon").value_or(1e-5f);
  const std::string x = r.input(0);
  const std::string centred = r.before("Sub", {x, r.input(3)});
  const std::string variance = r.before("Add", {r.input(4), r.number(epsilon, r.type_of(x))});
  const std::string normal = r.before("Div", {centred, r.before("Sqrt", {variance})});
  r.become("Add", {r.before("Mul", {normal, r.input(1)}), r.input(2)});
  r.node.outputs.resize(std::min<std::size_t>(r.node.outputs.size(), 1));
}

void batch_normalization_8(Rewriter& r) {
  r.drop("is_test");
  if (r.take<std::int64_t>("spatial").value_or(1) == 0) per_element_normalization(r);
}

// Before opset 14 the further outputs were those of training, which inference leaves alone.
void batch_normalization_13(Rewriter& r) {
  r.node.outputs.resize(std::min<std::size_t>(r.node.outputs.size(), 1));
}

// Scale and bias of each group, now of each channel.
void group_normalization_20(Rewriter& r) {
  const auto* groups =
      r.has("num_groups") ? &r.node.attributes.find("num_groups")->second : nullptr;
  if (groups == nullptr || groups->value == nullptr)
    r.fail("the required attribute 'num_groups' is missing");
  const auto* count = std::get_if<std::int64_t>(groups->value.get());
  if (count == nullptr || *count < 1) r.fail("attribute 'num_groups' must be a positive int");
  const std::string channels = r.before(
      "Shape", {r.input(0)}, attrs({{"start", std::int64_t{1}}, {"end", std::int64_t{2}}}));
  const std::string each = r.before("Div", {channels, r.ints({*count})});
  const std::string shape =
      r.before("Concat", {r.ints({*count}), each}, attrs({{"axis", std::int64_t{0}}}));
  for (std::size_t i = 1; i <= 2; ++i) {
    const std::string column = r.before("Reshape", {r.input(i), r.ints({-1, 1})});
    const std::string matrix = r.before("Expand", {column, shape});
    r.set_input(i, r.before("Reshape", {matrix, r.ints({-1})}));
  }
}

// At inference the mask keeps everything; its type was the data's before opset 10.
void make_mask(Rewriter& r, DType dtype) {
  const std::string shape = r.node.outputs.size() > 1 ? r.before("Shape", {r.input(0)}) : "";
  if (shape.empty()) return;
  Tensor one = Tensor::allocate(dtype, Shape{1});
  const bool ok = visit_scalar(
      dtype, [&]<class T>(std::type_identity<T>) { *one.mutable_as<T>() = static_cast<T>(1.0f); });
  if (!ok) r.fail("has no mask of type " + std::string(dtype_name(dtype)));
  r.make_instead(1, "ConstantOfShape", {shape}, attrs({{"value", one}}));
}

void dropout_9(Rewriter& r) {
  r.drop("is_test");
  r.drop("ratio");
  make_mask(r, r.type_of(r.input(0)));
  r.become("Identity", {r.input(0)});
}

void dropout_11(Rewriter& r) {
  r.drop("ratio");
  make_mask(r, DType::kBool);
  r.become("Identity", {r.input(0)});
}

// Identity unless training is asked for, or could be at run time.
void dropout(Rewriter& r) {
  if (r.has_input(2)) {
    const Tensor* training = r.content(r.input(2));
    if (training == nullptr || training->dtype() != DType::kBool || training->elements() != 1 ||
        *training->as<bool>()) {
      return;
    }
  }
  make_mask(r, DType::kBool);
  r.become("Identity", {r.input(0)});
}

void recurrent_6(Rewriter& r) {
  r.drop("output_sequence");
  // The first schema of GRU misspelt its default.
  if (const auto direction = r.take<std::string>("direction")) {
    r.set("direction", *direction == "foward" ? std::string("forward") : *direction);
  }
}

void lp_pool_1(Rewriter& r) {
  const float p = r.take<float>("p").value_or(2.0f);
  if (!(p >= 1.0f && p <= 1e6f) || p != std::floor(p))
    r.unsupported("p must be a whole number here");
  r.set("p", static_cast<std::int64_t>(p));
}

void mean_variance_8(Rewriter& r) {
  const bool across = r.take<std::int64_t>("across_channels").value_or(0) != 0;
  if (r.take<std::int64_t>("normalize_variance").value_or(1) == 0) {
    r.unsupported("normalize_variance = 0 is not supported");
  }
  r.set("axes", across ? std::vector<std::int64_t>{1, 2, 3} : std::vector<std::int64_t>{2, 3});
}

// swish(a) * b
void swiglu(Rewriter& r) {
  const float alpha = r.take<float>("alpha").value_or(1.0f);
  const std::string gate = r.before("Swish", {r.input(0)}, attrs({{"alpha", alpha}}));
  r.become("Mul", {gate, r.input(1)});
}

// The loss of the logarithm of a softmax, which may be an output of its own.
void softmax_cross_entropy(Rewriter& r) {
  const AttrMap axis = attrs({{"axis", std::int64_t{1}}});
  std::vector<std::string> inputs = r.node.inputs;
  if (r.node.outputs.size() > 1 && !r.node.outputs[1].empty()) {
    inputs[0] = r.node.outputs[1];
    r.make_instead(1, "LogSoftmax", {r.input(0)}, axis);
  } else {
    inputs[0] = r.before("LogSoftmax", {r.input(0)}, axis);
    r.node.outputs.resize(1);
  }
  r.become("NegativeLogLikelihoodLoss", std::move(inputs), std::move(r.node.attributes));
}

constexpr Rule kRules[] = {
    {"BatchNormalization", 1, 8, batch_normalization_8},
    {"BatchNormalization", 9, 13, batch_normalization_13},
    {"GroupNormalization", 18, 20, group_normalization_20},
    {"Dropout", 1, 9, dropout_9},
    {"Dropout", 10, 11, dropout_11},
    {"Dropout", 12, kNewestOpset, dropout},
    {"LSTM", 1, 6, recurrent_6},
    {"GRU", 1, 6, recurrent_6},
    {"RNN", 1, 6, recurrent_6},
    {"LpPool", 1, 1, lp_pool_1},
    {"GlobalLpPool", 1, 1, lp_pool_1},
    {"MeanVarianceNormalization", 1, 8, mean_variance_8},
    {"SwiGLU", 28, kNewestOpset, swiglu},
    {"SoftmaxCrossEntropyLoss", 12, kNewestOpset, softmax_cross_entropy},
};

}  // namespace

std::span<const Rule> nn_rules() { return kRules; }

}  // namespace lanewise::onnx
