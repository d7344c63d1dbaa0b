// Results whose size depends on the data: NonZero, Compress, Unique.
#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/cpu/elements.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// visit_scalar, with complex numbers and strings: the types whose elements can be compared and have
// a zero, "" being that of strings.
template <class F>
bool visit_zeroable(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kComplex64: f(std::type_identity<std::complex<float>>{}); return true;
    case DType::kComplex128: f(std::type_identity<std::complex<double>>{}); return true;
    case DType::kString: f(std::type_identity<std::string>{}); return true;
    default: return visit_scalar(dtype, static_cast<F&&>(f));
  }
}

void infer_non_zero(InferContext& c) {
  if (!visit_zeroable(c.dtype(0), [](auto) {})) {
    c.fail("input must be of a number type, bool or string, found " +
           std::string(dtype_name(c.dtype(0))));
  }
  c.set_output(0, DType::kInt64, Shape{c.shape(0).rank(), kUnknown});
}

Step lower_non_zero(LowerContext& c) {
  Step step;
  step.algorithm = "scan";
  step.run = [shape = c.shape(0), dtype = c.dtype(0)](const RunContext& run) {
    std::vector<std::int64_t> found;
    visit_zeroable(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      const std::int64_t elements = shape.elements();
      for (std::int64_t i = 0; i < elements; ++i) {
        if (static_cast<bool>(run.in<T>(0)[i] != T())) found.push_back(i);
      }
    });
    const auto count = static_cast<std::int64_t>(found.size());
    Tensor result = Tensor::allocate(DType::kInt64, Shape{shape.rank(), count});
    const std::vector<std::int64_t> strides = shape.strides();
    std::int64_t* out = result.mutable_as<std::int64_t>();
    for (int axis = 0; axis < shape.rank(); ++axis) {
      for (std::int64_t at : found) {
        *out++ = at / strides[static_cast<std::size_t>(axis)] % shape[axis];
      }
    }
    run.emitter->emit(0, std::move(result));
  };
  return step;
}

// A tensor as [outer, size, inner] around an axis; the whole as one axis when there is none.
struct AxisView {
  std::int64_t outer = 1, size = 1, inner = 1;
};

AxisView axis_view(const OpContext& c) {
  const Shape& shape = c.shape(0);
  if (!c.has_attr("axis")) return {1, shape.elements(), 1};
  const int axis = c.attr_axis(shape.rank());
  return {shape.elements(0, axis), shape[axis], shape.elements(axis + 1, shape.rank())};
}

// The output's shape: `count` along the axis, or alone.
Shape picked_shape(const OpContext& c, std::int64_t count) {
  if (!c.has_attr("axis")) return Shape{count};
  Shape shape = c.shape(0);
  shape[c.attr_axis(shape.rank())] = count;
  return shape;
}

// Copies the items `picked` along the axis of the view.
Tensor pick(const AxisView& view, DType dtype, const void* data,
            const std::vector<std::int64_t>& picked, Shape shape) {
  Tensor result = Tensor::allocate(dtype, std::move(shape));
  visit_element(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const T* in = static_cast<const T*>(data);
    T* out = result.template mutable_as<T>();
    for (std::int64_t i = 0; i < view.outer; ++i) {
      for (std::int64_t at : picked) {
        out = std::copy_n(in + (i * view.size + at) * view.inner, view.inner, out);
      }
    }
  });
  return result;
}

void infer_compress(InferContext& c) {
  if (c.shape(0).rank() == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  c.expect_dtype(1, {DType::kBool});
  c.expect_rank(1, 1, 1);
  const AxisView view = axis_view(c);
  if (c.shape(1)[0] > view.size) {
    c.fail("'condition' has " + std::to_string(c.shape(1)[0]) + " elements, expected at most " +
           std::to_string(view.size));
  }
  c.set_output(0, c.dtype(0), picked_shape(c, kUnknown));
}

Step lower_compress(LowerContext& c) {
  const Shape template_shape = picked_shape(c, kUnknown);
  Step step;
  step.algorithm = "scan";
  step.run = [view = axis_view(c), count = c.shape(1)[0], dtype = c.dtype(0),
              template_shape](const RunContext& run) {
    std::vector<std::int64_t> picked;
    for (std::int64_t i = 0; i < count; ++i) {
      if (run.in<bool>(1)[i]) picked.push_back(i);
    }
    Shape shape = template_shape;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == kUnknown) shape[i] = static_cast<std::int64_t>(picked.size());
    }
    run.emitter->emit(0, pick(view, dtype, run.inputs[0], picked, shape));
  };
  return step;
}

template <class T>
inline constexpr bool kComplex = false;
template <class T>
inline constexpr bool kComplex<std::complex<T>> = true;

// A total order: NaNs are alike and come last, as in numpy.unique; complex numbers go by their real
// parts first.
template <class T>
bool is_before(const T& a, const T& b) {
  if constexpr (kComplex<T>) {
    if (is_before(a.real(), b.real()) || is_before(b.real(), a.real()))
      return is_before(a.real(), b.real());
    return is_before(a.imag(), b.imag());
  } else if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return is_before(static_cast<float>(a), static_cast<float>(b));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
    return a < b;
  } else {
    return a < b;
  }
}

struct Groups {
  std::vector<std::int64_t> first, inverse, counts;
};

// Groups equal items along the axis, ordered by value or by first appearance.
template <class T>
Groups group_items(const AxisView& view, const T* data, bool by_value) {
  const auto compare = [&](std::int64_t a, std::int64_t b) {  // -1, 0, 1
    for (std::int64_t i = 0; i < view.outer; ++i) {
      const T* left = data + (i * view.size + a) * view.inner;
      const T* right = data + (i * view.size + b) * view.inner;
      for (std::int64_t k = 0; k < view.inner; ++k) {
        if (is_before(left[k], right[k])) return -1;
        if (is_before(right[k], left[k])) return 1;
      }
    }
    return 0;
  };
  std::vector<std::int64_t> order(static_cast<std::size_t>(view.size));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return compare(a, b) < 0; });
  std::vector<std::vector<std::int64_t>> groups;
  for (std::int64_t item : order) {
    if (groups.empty() || compare(groups.back()[0], item) != 0) groups.emplace_back();
    groups.back().push_back(item);
  }
  if (!by_value) {
    std::sort(groups.begin(), groups.end(),
              [](const auto& a, const auto& b) { return a[0] < b[0]; });
  }
  Groups result;
  result.inverse.resize(order.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    result.first.push_back(groups[g][0]);
    result.counts.push_back(static_cast<std::int64_t>(groups[g].size()));
    for (std::int64_t item : groups[g]) {
      result.inverse[static_cast<std::size_t>(item)] = static_cast<std::int64_t>(g);
    }
  }
  return result;
}

void infer_unique(InferContext& c) {
  if (!visit_zeroable(c.dtype(0), [](auto) {})) {
    c.fail("input must be of a number type, bool or string, found " +
           std::string(dtype_name(c.dtype(0))));
  }
  c.set_output(0, c.dtype(0), picked_shape(c, kUnknown));
  c.set_output(1, DType::kInt64, Shape{kUnknown});
  c.set_output(2, DType::kInt64, Shape{axis_view(c).size});
  c.set_output(3, DType::kInt64, Shape{kUnknown});
}

Step lower_unique(LowerContext& c) {
  const Shape template_shape = picked_shape(c, kUnknown);
  const bool named[] = {c.has_output(0), c.has_output(1), c.has_output(2), c.has_output(3)};
  Step step;
  step.algorithm = "sort";
  step.run = [view = axis_view(c), dtype = c.dtype(0), by_value = c.attr_int("sorted") != 0,
              template_shape, named = std::to_array(named)](const RunContext& run) {
    Groups groups;
    const auto group = [&](auto type) {
      using T = typename decltype(type)::type;
      groups = group_items(view, run.in<T>(0), by_value);
    };
    visit_zeroable(dtype, group);
    Shape shape = template_shape;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == kUnknown) shape[i] = static_cast<std::int64_t>(groups.first.size());
    }
    const auto emit = [&](int output, const std::vector<std::int64_t>& values) {
      if (!named[static_cast<std::size_t>(output)]) return;
      run.emitter->emit(output, Tensor::from(std::span<const std::int64_t>(values)));
    };
    if (named[0]) run.emitter->emit(0, pick(view, dtype, run.inputs[0], groups.first, shape));
    emit(1, groups.first);
    emit(2, groups.inverse);
    emit(3, groups.counts);
  };
  return step;
}

constexpr AttrDef kCompressAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "dimension to pick along; optional, flattens"}};
constexpr AttrDef kUniqueAttrs[] = {
    {.name = "axis",
     .type = AttrType::kInt,
     .doc = "dimension whose slices are compared; optional, flattens"},
    {.name = "sorted",
     .type = AttrType::kInt,
     .doc = "1: in ascending order; 0: in order of appearance",
     .int_default = 1}};

constexpr OpDef kOps[] = {
    {.name = "NonZero",
     .doc = "The indices of the elements that are not zero, one column each.",
     .infer = infer_non_zero,
     .lower = lower_non_zero,
     .any_float = true,
     .flops = no_flops},
    {.name = "Compress",
     .doc = "The slices for which a condition holds.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kCompressAttrs,
     .infer = infer_compress,
     .lower = lower_compress,
     .any_float = true,
     .flops = no_flops},
    {.name = "Unique",
     .doc = "The distinct elements or slices, with first places, inverse and counts.",
     .max_outputs = 4,
     .attributes = kUniqueAttrs,
     .infer = infer_unique,
     .lower = lower_unique,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable select_ops;
const OpTable select_ops = {kOps};

}  // namespace lanewise
