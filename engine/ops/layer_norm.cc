// LayerNormalization and RMSNormalization: statistics over the last axes of each row.
#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/graph/layout.h"
#include "engine/graph/op.h"
#include "engine/kernels/moments/moments.h"

namespace lanewise {
namespace {

void expect_broadcast(const OpContext& c, int i) {
  const auto joint = broadcast(c.shape(0), c.shape(i));
  if (joint && *joint == c.shape(0)) return;
  c.fail("input " + std::to_string(i) + " of shape " + c.shape(i).str() +
         " cannot be broadcast to input 0 of shape " + c.shape(0).str());
}

// Float32 and bfloat16 are what the statistics may be given as, float64 what they are computed in
// whatever the attribute says.
DType stash_type(const OpContext& c) {
  const std::int64_t code = c.attr_int("stash_type");
  if (!is_dtype(code) || !is_floating(static_cast<DType>(code))) {
    c.fail("attribute 'stash_type' is " + std::to_string(code) + ", expected that of a float type");
  }
  return static_cast<DType>(code);
}

void infer_layer_norm(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 1, 64);
  for (int i = 1; i < 3; ++i) {
    if (!c.has_input(i)) continue;
    c.expect_same_dtype(0, i);
    expect_broadcast(c, i);
  }
  const DType stash = stash_type(c);
  const int axis = c.attr_axis(c.shape(0).rank());
  Shape statistics = c.shape(0);
  for (int i = axis; i < statistics.rank(); ++i) statistics[i] = 1;
  c.set_output(0, c.dtype(0), c.shape(0));
  c.set_exact_output(1, stash, statistics);
  c.set_exact_output(2, stash, statistics);
}

// The scale may be of another type, which is the result's.
void infer_rms_norm(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_dtype(1, {DType::kFloat32, DType::kFloat64});
  c.expect_rank(0, 1, 64);
  expect_broadcast(c, 1);
  static_cast<void>(c.attr_axis(c.shape(0).rank()));
  static_cast<void>(stash_type(c));
  c.set_exact_output(0, c.stored_dtype(1), c.shape(0));
}

// An input that is broadcast along the rows: whether it is one dense row, the same for all rows,
// and otherwise the strides with which to read it.
struct Parameter {
  Parameter() = default;
  Parameter(const OpContext& c, int i, int axis)
      : present(true),
        strides(broadcast_strides(c.shape(i), Layout::kPlain, c.shape(0), Layout::kPlain)) {
    const std::vector<std::int64_t> dense = c.shape(0).strides();
    for (int k = 0; k < c.shape(0).rank(); ++k) {
      const auto at = static_cast<std::size_t>(k);
      const std::int64_t wanted = k < axis ? 0 : dense[at];
      if (strides[at] != wanted && c.shape(0)[k] != 1) one_row = false;
    }
  }

  std::int64_t offset(std::int64_t position, const Shape& shape) const {
    std::int64_t result = 0;
    for (int k = shape.rank() - 1; k >= 0; --k) {
      result += position % shape[k] * strides[static_cast<std::size_t>(k)];
      position /= shape[k];
    }
    return result;
  }

  bool present = false, one_row = true;
  std::vector<std::int64_t> strides;
};

// Rows of n elements: y = (x - mean) * inverse * scale + bias, where scale, bias and y are of type
// V. The mean is zero for RMS.
template <class T, class V>
struct RowNorm {
  const kernels::MomentsF32* moments;
  const kernels::ScaleShiftF32* scaling;
  Shape shape;
  std::int64_t n;
  double epsilon;
  bool centred;
  DType stash;  // of the statistics as results
  Parameter scale, bias;

  void statistics(const T* x, double& mean, double& inverse) const {
    double squares = 0.0;
    mean = 0.0;
    if constexpr (std::is_same_v<T, float>) {
      if (centred) mean = moments->sum(x, n) / static_cast<double>(n);
      squares = moments->sum_squares(x, n, static_cast<float>(mean));
    } else {
      for (std::int64_t i = 0; centred && i < n; ++i) mean += x[i];
      mean /= static_cast<double>(n);
      for (std::int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
    }
    const double rounded = mean - static_cast<double>(static_cast<T>(mean));
    const double variance = std::max(0.0, squares / static_cast<double>(n) - rounded * rounded);
    inverse = 1.0 / std::sqrt(variance + epsilon);
  }

  void apply(const T* x, std::int64_t row, T mean, T inverse, const V* a, const V* b, V* y) const {
    if constexpr (std::is_same_v<T, float> && std::is_same_v<V, float>) {
      if (scale.one_row && bias.one_row) return scaling->vectors(x, n, mean, inverse, a, b, y);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const V factor = a[scale.one_row ? i : scale.offset(row * n + i, shape)];
      const V term = b == nullptr ? V{0} : b[bias.one_row ? i : bias.offset(row * n + i, shape)];
      y[i] = static_cast<V>((x[i] - mean) * inverse) * factor + term;
    }
  }

  void operator()(const RunContext& run, std::int64_t begin, std::int64_t end) const {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = run.in<T>(0) + row * n;
      double mean = 0.0, inverse = 0.0;
      statistics(x, mean, inverse);
      if (run.has_out(1)) set_value(run.outputs[1], stash, row, mean);
      if (run.has_out(2)) set_value(run.outputs[2], stash, row, inverse);
      apply(x, row, static_cast<T>(mean), static_cast<T>(inverse), run.in<V>(1),
            bias.present ? run.in<V>(2) : nullptr, run.out<V>(0) + row * n);
    }
  }
};

template <class T, class V = T>
Step make_step(const LowerContext& c, bool centred) {
  const Shape& shape = c.shape(0);
  const int axis = c.attr_axis(shape.rank());
  const RowNorm<T, V> norm{&kernels::moments_f32(c.isa()),
                           &kernels::scale_shift_f32(c.isa()),
                           shape,
                           shape.elements(axis, shape.rank()),
                           static_cast<double>(c.attr_float("epsilon")),
                           centred,
                           stash_type(c),
                           Parameter(c, 1, axis),
                           c.has_input(2) ? Parameter(c, 2, axis) : Parameter()};
  const std::int64_t rows = shape.elements(0, axis);
  Step step;
  step.algorithm = norm.scale.one_row && norm.bias.one_row ? "rows" : "rows, broadcast parameters";
  step.run = [=](const RunContext& run) {
    parallel_for(run.threads, rows, (1 << 12) / std::max<std::int64_t>(norm.n, 1) + 1,
                 [&](std::int64_t begin, std::int64_t end) { norm(run, begin, end); });
  };
  return step;
}

Step lower_layer_norm(LowerContext& c) {
  return c.dtype(0) == DType::kFloat64 ? make_step<double>(c, true) : make_step<float>(c, true);
}

Step lower_rms_norm(LowerContext& c) {
  const bool wide = c.dtype(0) == DType::kFloat64;
  if (c.dtype(1) == DType::kFloat64)
    return wide ? make_step<double>(c, false) : make_step<float, double>(c, false);
  return wide ? make_step<double, float>(c, false) : make_step<float>(c, false);
}

double row_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 7.0 * static_cast<double>(c.shape(0).elements());
}

constexpr AttrDef kAttrs[] = {{.name = "axis",
                               .type = AttrType::kInt,
                               .doc = "first axis of the statistics",
                               .int_default = -1},
                              {.name = "epsilon",
                               .type = AttrType::kFloat,
                               .doc = "added to the variance",
                               .float_default = 1e-5f},
                              {.name = "stash_type",
                               .type = AttrType::kInt,
                               .doc = "type of the means and deviations that are given; the sums "
                                      "are always kept in float64",
                               .int_default = 1}};

constexpr OpDef kOps[] = {
    {.name = "LayerNormalization",
     .doc = "Normalises over the last axes, then scales and shifts (Ba, Kiros & Hinton 2016); also "
            "gives the means and inverse deviations.",
     .min_inputs = 2,
     .max_inputs = 3,
     .max_outputs = 3,
     .attributes = kAttrs,
     .infer = infer_layer_norm,
     .lower = lower_layer_norm,
     .flops = row_flops},
    {.name = "RMSNormalization",
     .doc =
         "Divides by the root mean square over the last axes, then scales (Zhang & Sennrich 2019).",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kAttrs,
     .infer = infer_rms_norm,
     .lower = lower_rms_norm,
     .flops = row_flops},
};

}  // namespace

extern const OpTable layer_norm_ops;
const OpTable layer_norm_ops = {kOps};

}  // namespace lanewise
