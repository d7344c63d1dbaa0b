// Derivatives of a network's layers: products, convolution, pooling, normalisation, softmax and
// losses.
#include "engine/onnx/gradient.h"

namespace lanewise::onnx {
namespace {

AttrMap keep_dims(bool keep) { return attrs({{"keepdims", std::int64_t{keep ? 1 : 0}}}); }

void matrix_product(const Visit& v) {
  const auto einsum = [&](const std::string& a, const std::string& b, const char* equation) {
    return v.op("Einsum", {a, b}, attrs({{"equation", std::string(equation)}}));
  };
  v.reverse.add_broadcast(v.x(0), einsum(v.g, v.x(1), "...ik,...jk->...ij"));
  v.reverse.add_broadcast(v.x(1), einsum(v.x(0), v.g, "...ji,...jk->...ik"));
}

void gemm(const Visit& v) {
  const std::int64_t a = v.attr("transA", 0) != 0 ? 1 : 0, b = v.attr("transB", 0) != 0 ? 1 : 0;
  const auto alpha = static_cast<float>(v.attr_float("alpha", 1.0f));
  const auto times = [&](const std::string& p, std::int64_t tp, const std::string& q,
                         std::int64_t tq) {
    return v.op("Gemm", {p, q}, attrs({{"alpha", alpha}, {"transA", tp}, {"transB", tq}}));
  };
  v.reverse.add(v.x(0), a == 0 ? times(v.g, 0, v.x(1), 1 - b) : times(v.x(1), b, v.g, 1));
  v.reverse.add(v.x(1), b == 0 ? times(v.x(0), 1 - a, v.g, 0) : times(v.g, 1, v.x(0), a));
  if (!v.has(2)) return;
  v.reverse.add_broadcast(v.x(2), v.mul(v.g, v.reverse.number(v.attr_float("beta", 1.0f), v.x(2))));
}

// All axes but that of the channels.
std::string image_axes(const Visit& v) {
  const std::string spatial = v.reverse.axes_from(v.reverse.integer(2), v.x());
  return v.op("Concat", {v.reverse.ints({0}), spatial}, attrs({{"axis", std::int64_t{0}}}));
}
std::string summed(const Visit& v, const std::string& x, const std::string& axes) {
  return v.op("ReduceSum", {x, axes}, keep_dims(false));
}

void convolution(const Visit& v) {
  if (v.wants(0)) {
    v.reverse.add(v.x(0),
                  v.op("lanewise:ConvInputGradient", {v.x(0), v.x(1), v.g}, v.node.attributes));
  }
  if (v.wants(1)) {
    v.reverse.add(v.x(1),
                  v.op("lanewise:ConvWeightGradient", {v.x(0), v.x(1), v.g}, v.node.attributes));
  }
  if (v.wants(2)) v.reverse.add(v.x(2), summed(v, v.g, image_axes(v)));
}

// A transposed convolution is the derivative of a convolution by its input: the roles of input and
// result change places.
void transposed_convolution(const Visit& v) {
  AttrMap attributes = v.node.attributes;
  const std::string mode = v.attr_string("auto_pad", "NOTSET");
  if (attributes.contains("output_shape") || (mode != "NOTSET" && mode != "VALID")) {
    v.reverse.unsupported("there is no derivative of " + label(v.node) +
                          " with 'output_shape' or 'auto_pad'; give 'pads'");
  }
  attributes.erase("output_padding");
  if (v.wants(0)) v.reverse.add(v.x(0), v.op("Conv", {v.g, v.x(1)}, attributes));
  if (v.wants(1)) {
    v.reverse.add(v.x(1), v.op("lanewise:ConvWeightGradient", {v.g, v.x(1), v.x(0)}, attributes));
  }
  if (v.wants(2)) v.reverse.add(v.x(2), summed(v, v.g, image_axes(v)));
}

void mean_pooled(const Visit& v) {
  v.reverse.add(v.x(), v.op("lanewise:AveragePoolGradient", {v.x(), v.g}, v.node.attributes));
}

void global_mean(const Visit& v) {
  const std::string count = v.op("Div", {v.op("Size", {v.x()}), v.op("Size", {v.y()})});
  const std::string share = v.op("Div", {v.g, v.op("CastLike", {count, v.g})});
  v.reverse.add(v.x(), v.op("Expand", {share, v.op("Shape", {v.x()})}));
}

void global_max(const Visit& v) {
  const std::string hits = v.op("CastLike", {v.op("Equal", {v.x(), v.y()}), v.x()});
  const std::string axes = v.reverse.axes_from(v.reverse.integer(2), v.x());
  const std::string count = v.op("ReduceSum", {hits, axes}, keep_dims(true));
  v.times(v.op("Div", {hits, count}));
}

// x in groups: (x - mean) * inverse, where the mean is left out for a root mean square.
struct Normalised {
  std::string axes, centred, inverse, value;
};

Normalised normalised(const Visit& v, const std::string& x, const std::string& axes, bool centre) {
  Normalised n;
  n.axes = axes;
  n.centred = centre ? v.sub(x, v.op("ReduceMean", {x, axes}, keep_dims(true))) : x;
  const std::string variance =
      v.op("ReduceMean", {v.mul(n.centred, n.centred), axes}, keep_dims(true));
  const std::string shifted = v.add(variance, v.number(v.attr_float("epsilon", 1e-5f)));
  n.inverse = v.op("Reciprocal", {v.op("Sqrt", {shifted})});
  n.value = v.mul(n.centred, n.inverse);
  return n;
}

// The derivative by x, given that by the normalised value.
std::string through(const Visit& v, const Normalised& n, const std::string& d, bool centre) {
  const std::string along = v.op("ReduceMean", {v.mul(d, n.value), n.axes}, keep_dims(true));
  std::string rest = v.sub(d, v.mul(n.value, along));
  if (centre) rest = v.sub(rest, v.op("ReduceMean", {d, n.axes}, keep_dims(true)));
  return v.mul(n.inverse, rest);
}

// A parameter with one value per channel, in a shape that broadcasts to x.
std::string per_channel(const Visit& v, const std::string& parameter) {
  const std::string spatial = v.op("Sub", {v.reverse.rank(v.x()), v.reverse.ints({2})});
  return v.reverse.append_dims(parameter, spatial);
}

void batch_norm(const Visit& v) {
  const std::string axes = image_axes(v), scale = per_channel(v, v.x(1));
  const std::string d = v.mul(v.g, scale);
  if (v.attr("training_mode", 0) != 0) {
    v.expect_constant(3);
    v.expect_constant(4);
    const Normalised n = normalised(v, v.x(), axes, true);
    v.reverse.add(v.x(0), through(v, n, d, true));
    v.reverse.add(v.x(1), summed(v, v.mul(v.g, n.value), axes));
    v.reverse.add(v.x(2), summed(v, v.g, axes));
    return;
  }
  const std::string shifted =
      v.add(per_channel(v, v.x(4)), v.number(v.attr_float("epsilon", 1e-5f)));
  const std::string inverse = v.op("Reciprocal", {v.op("Sqrt", {shifted})});
  const std::string value = v.mul(v.sub(v.x(), per_channel(v, v.x(3))), inverse);
  const std::string dx = v.mul(d, inverse);
  v.reverse.add(v.x(0), dx);
  v.reverse.add(v.x(1), summed(v, v.mul(v.g, value), axes));
  v.reverse.add(v.x(2), summed(v, v.g, axes));
  if (v.wants(3)) v.reverse.add(v.x(3), v.op("Neg", {summed(v, dx, axes)}));
  if (v.wants(4)) {
    const std::string slope = v.mul(v.mul(value, inverse), v.number(-0.5));
    v.reverse.add(v.x(4), summed(v, v.mul(dx, slope), axes));
  }
}

// LayerNormalization and RMSNormalization.
template <bool centre>
void row_norm(const Visit& v) {
  const std::int64_t axis = v.attr("axis", -1);
  const std::string first =
      axis >= 0 ? v.reverse.integer(axis)
                : v.op("Add", {v.reverse.rank_scalar(v.x()), v.reverse.integer(axis)});
  const Normalised n = normalised(v, v.x(), v.reverse.axes_from(first, v.x()), centre);
  v.reverse.add(v.x(0), through(v, n, v.mul(v.g, v.x(1)), centre));
  v.reverse.add_broadcast(v.x(1), v.mul(v.g, n.value));
  if (v.has(2)) v.reverse.add_broadcast(v.x(2), v.g);
}

// InstanceNormalization: groups of one channel. GroupNormalization: [batch, group, rest].
template <bool grouped>
void channel_norm(const Visit& v) {
  const std::string shape = v.op("Shape", {v.x()});
  const std::string d = v.mul(v.g, per_channel(v, v.x(1)));
  std::string in_groups =
      v.reverse.ints({0, grouped ? v.attr("num_groups", 1) : std::int64_t{0}, -1});
  const auto view = [&](const std::string& x) { return v.op("Reshape", {x, in_groups}); };
  const Normalised n = normalised(v, view(v.x()), v.reverse.ints({2}), true);
  v.reverse.add(v.x(0), v.op("Reshape", {through(v, n, view(d), true), shape}));
  const std::string value = v.op("Reshape", {n.value, shape}), axes = image_axes(v);
  v.reverse.add(v.x(1), summed(v, v.mul(v.g, value), axes));
  v.reverse.add(v.x(2), summed(v, v.g, axes));
}

std::string sum_along(const Visit& v, const std::string& x) {
  return v.op("ReduceSum", {x, v.reverse.ints({v.attr("axis", -1)})}, keep_dims(true));
}
void softmax(const Visit& v) {
  v.reverse.add(v.x(), v.mul(v.y(), v.sub(v.g, sum_along(v, v.mul(v.g, v.y())))));
}
void log_softmax(const Visit& v) {
  v.reverse.add(v.x(), v.sub(v.g, v.mul(v.op("Exp", {v.y()}), sum_along(v, v.g))));
}

// What the forward pass dropped is known by its mask alone.
void dropout(const Visit& v) {
  if (!v.has(2)) return v.reverse.add(v.x(), v.g);
  if (v.node.outputs.size() < 2 || v.node.outputs[1].empty()) {
    v.reverse.unsupported("there is no derivative of " + label(v.node) +
                          " in training mode without its output 'mask'");
  }
  v.expect_constant(1);
  const std::string ratio = v.has(1) ? v.op("CastLike", {v.x(1), v.x()}) : v.number(0.5);
  const std::string share = v.op("Reciprocal", {v.sub(v.number(1), ratio)});
  const std::string factor = v.where(v.x(2), share, v.number(1));
  v.reverse.add(v.x(), v.mul(v.masked(v.node.outputs[1]), factor));
}

// The losses over classes: g times each position's weight, [batch, 1, ...], and the targets as
// ones among zeros, [batch, class, ...].
struct Targets {
  std::string weight, hot;
};

Targets targets(const Visit& v) {
  v.expect_constant(2);
  std::string target = v.x(1), ignored;
  if (const auto* value = v.attribute<std::int64_t>("ignore_index")) {
    ignored = v.op("Equal", {target, v.op("CastLike", {v.reverse.integer(*value), target})});
    target = v.where(ignored, v.reverse.number(0, target), target);
  }
  std::string weight = v.has(2) ? v.op("Gather", {v.x(2), target})
                                : v.op("Expand", {v.number(1), v.op("Shape", {target})});
  if (!ignored.empty()) weight = v.where(ignored, v.number(0), weight);
  std::string g = v.g;
  if (v.attr_string("reduction", "mean") == "mean") {
    const std::string total = v.op("ReduceSum", {weight}, keep_dims(false));
    g = v.op("Div", {g, total});
  }
  const std::string classes = v.op("Gather", {v.op("Shape", {v.x()}), v.reverse.ints({1})});
  const std::string zero = v.op("Reshape", {v.number(0), v.reverse.ints({1})});
  const std::string one = v.op("Reshape", {v.number(1), v.reverse.ints({1})});
  const std::string values = v.op("Concat", {zero, one}, attrs({{"axis", std::int64_t{0}}}));
  const std::string hot =
      v.op("OneHot", {target, classes, values}, attrs({{"axis", std::int64_t{1}}}));
  return {v.op("Unsqueeze", {v.mul(weight, g), v.reverse.ints({1})}), hot};
}

void likelihood_loss(const Visit& v) {
  const Targets t = targets(v);
  v.reverse.add(v.x(), v.op("Neg", {v.mul(t.hot, t.weight)}));
}
void cross_entropy_loss(const Visit& v) {
  const Targets t = targets(v);
  const std::string chances = v.op("Softmax", {v.x()}, attrs({{"axis", std::int64_t{1}}}));
  v.reverse.add(v.x(), v.mul(v.sub(chances, t.hot), t.weight));
}

constexpr Derivative kDerivatives[] = {
    {"AveragePool", mean_pooled},
    {"BatchNormalization", batch_norm},
    {"Conv", convolution},
    {"ConvTranspose", transposed_convolution},
    {"Dropout", dropout},
    {"Gemm", gemm},
    {"GlobalAveragePool", global_mean},
    {"GlobalMaxPool", global_max},
    {"GroupNormalization", channel_norm<true>},
    {"InstanceNormalization", channel_norm<false>},
    {"LayerNormalization", row_norm<true>},
    {"LogSoftmax", log_softmax},
    {"MatMul", matrix_product},
    {"NegativeLogLikelihoodLoss", likelihood_loss},
    {"RMSNormalization", row_norm<false>},
    {"Softmax", softmax},
    {"SoftmaxCrossEntropyLoss", cross_entropy_loss},
};

}  // namespace

std::span<const Derivative> layer_derivatives() { return kDerivatives; }

}  // namespace lanewise::onnx
