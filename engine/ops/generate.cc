// Tensors made from shapes and scalars: Shape, Size, ConstantOfShape, Range, EyeLike.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// The dimensions [start, end) of the input's shape.
std::vector<std::int64_t> shape_part(const OpContext& c) {
  const std::int64_t rank = c.shape(0).rank();
  const auto bound = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = bound(c.attr_int("start"));
  const std::int64_t end = c.has_attr("end") ? bound(c.attr_int("end")) : rank;
  const std::vector<std::int64_t>& dims = c.shape(0).dims();
  if (end <= start) return {};
  return {dims.begin() + start, dims.begin() + end};
}

void infer_shape(InferContext& c) {
  c.set_output(0, DType::kInt64, Shape{static_cast<std::int64_t>(shape_part(c).size())});
}

Step lower_shape(LowerContext& c) {
  Step step;
  step.algorithm = "constant";
  step.run = [dims = shape_part(c)](const RunContext& run) {
    std::copy(dims.begin(), dims.end(), run.out<std::int64_t>(0));
  };
  return step;
}

void infer_size(InferContext& c) { c.set_output(0, DType::kInt64, Shape{}); }

Step lower_size(LowerContext& c) {
  Step step;
  step.algorithm = "constant";
  step.run = [elements = c.shape(0).elements()](const RunContext& run) {
    *run.out<std::int64_t>(0) = elements;
  };
  return step;
}

void infer_constant_of_shape(InferContext& c) {
  const Shape shape(c.need_ints(0));
  for (std::int64_t dim : shape) {
    if (dim < 0) c.fail("the shape " + shape.str() + " has a negative dimension");
  }
  static_cast<void>(shape.elements());
  const Tensor* value = c.attr_tensor("value");
  if (value != nullptr && value->elements() != 1) {
    c.fail("attribute 'value' has shape " + value->shape().str() + ", expected one element");
  }
  c.set_output(0, value == nullptr ? DType::kFloat32 : value->dtype(), shape);
}

Step lower_constant_of_shape(LowerContext& c) {
  const Tensor value =
      c.attr_tensor("value") == nullptr ? Tensor::scalar(0.0f) : *c.attr_tensor("value");
  Step step;
  step.algorithm = "constant";
  step.run = [value, elements = c.out_shape(0).elements()](const RunContext& run) {
    visit_element(value.dtype(), [&](auto type) {
      using T = typename decltype(type)::type;
      T* out = run.out<T>(0);
      parallel_for(run.threads, elements, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
        std::fill(out + begin, out + end, *value.as<T>());
      });
    });
  };
  return step;
}

// ceil((limit - start) / delta), exact for integers.
template <class T>
std::int64_t range_count(const InferContext& c, T start, T limit, T delta) {
  if (static_cast<double>(delta) == 0) c.fail("'delta' is 0");
  if constexpr (std::is_integral_v<T>) {
    if (delta > 0 ? start >= limit : start <= limit) return 0;
    const auto low =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(delta > 0 ? start : limit));
    const auto high =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(delta > 0 ? limit : start));
    const auto wide = static_cast<std::uint64_t>(static_cast<std::int64_t>(delta));
    const std::uint64_t count = (high - low - 1) / (delta > 0 ? wide : 0 - wide) + 1;
    if (count >> 62 != 0) c.fail("the range has too many elements");
    return static_cast<std::int64_t>(count);
  } else {
    const double count = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                                   static_cast<double>(delta));
    if (!(count < 0x1p60)) c.fail("the range has no finite number of elements");
    return static_cast<std::int64_t>(std::max(0.0, count));
  }
}

// What 16-bit floats are computed in.
constexpr std::int64_t kStashFloat = static_cast<std::int64_t>(DType::kFloat32);
constexpr std::int64_t kStashDouble = static_cast<std::int64_t>(DType::kFloat64);

void infer_range(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16,
                     DType::kInt16, DType::kInt32, DType::kInt64});
  std::int64_t count = 0;
  for (int i = 0; i < 3; ++i) {
    c.expect_same_dtype(0, i);
    if (c.shape(i).elements() != 1) {
      c.fail("input " + std::to_string(i) + " must be a scalar, found shape " + c.shape(i).str());
    }
    c.need(i);
  }
  const std::int64_t stash = c.attr_int("stash_type");
  if (stash != kStashFloat && stash != kStashDouble) {
    c.fail("attribute 'stash_type' is " + std::to_string(stash) +
           ", expected 1 (float32) or 11 (float64)");
  }
  visit_scalar(c.dtype(0), [&](auto type) {
    using T = typename decltype(type)::type;
    count = range_count(c, *c.need(0).as<T>(), *c.need(1).as<T>(), *c.need(2).as<T>());
  });
  c.set_output(0, c.dtype(0), Shape{count});
}

Step lower_range(LowerContext& c) {
  Step step;
  step.algorithm = "range";
  step.run = [dtype = c.dtype(0), count = c.out_shape(0)[0],
              wide = c.attr_int("stash_type") == kStashDouble](const RunContext& run) {
    visit_scalar(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      const T start = *run.in<T>(0), delta = *run.in<T>(2);
      T* out = run.out<T>(0);
      if constexpr (std::is_integral_v<T>) {  // i * delta alone may not fit T, in unsigned it wraps
        auto value = static_cast<std::uint64_t>(start);
        for (std::int64_t i = 0; i < count; ++i, value += static_cast<std::uint64_t>(delta)) {
          out[i] = static_cast<T>(value);
        }
      } else {
        const auto fill = [&]<class Wide>(std::type_identity<Wide>) {
          const Wide first = static_cast<Wide>(start), by = static_cast<Wide>(delta);
          for (std::int64_t i = 0; i < count; ++i)
            out[i] = T(static_cast<float>(first + static_cast<Wide>(i) * by));
        };
        if constexpr (std::is_same_v<T, double>) {
          for (std::int64_t i = 0; i < count; ++i) out[i] = start + static_cast<double>(i) * delta;
        } else if (sizeof(T) == 2 && wide) {
          fill(std::type_identity<double>{});
        } else {
          fill(std::type_identity<float>{});
        }
      }
    });
  };
  return step;
}

DType eye_dtype(const OpContext& c) {
  if (!c.has_attr("dtype")) return c.dtype(0);
  const std::int64_t code = c.attr_int("dtype");
  if (!is_dtype(code) || !visit_scalar(static_cast<DType>(code), [](auto) {})) {
    c.fail("attribute 'dtype' is " + std::to_string(code) + ", expected the code of a number type");
  }
  return static_cast<DType>(code);
}

void infer_eye_like(InferContext& c) {
  c.expect_rank(0, 2, 2);
  if (!visit_scalar(eye_dtype(c), [](auto) {})) {
    c.fail("the output must be of a number type, found " + std::string(dtype_name(eye_dtype(c))));
  }
  c.set_output(0, eye_dtype(c), c.shape(0));
}

Step lower_eye_like(LowerContext& c) {
  const Shape& shape = c.shape(0);
  Step step;
  step.algorithm = "constant";
  step.run = [dtype = c.output(0).dtype, rows = shape[0], columns = shape[1],
              k = c.attr_int("k")](const RunContext& run) {
    visit_scalar(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      T* out = run.out<T>(0);
      std::fill_n(out, rows * columns, T());
      for (std::int64_t row = 0; row < rows; ++row) {
        // k - and thus row + k - may be any integer: compare before adding.
        if (k >= -row && k < columns - row) out[row * columns + row + k] = static_cast<T>(1.0f);
      }
    });
  };
  return step;
}

constexpr AttrDef kShapeAttrs[] = {
    {.name = "start", .type = AttrType::kInt, .doc = "first dimension"},
    {.name = "end", .type = AttrType::kInt, .doc = "one past the last dimension; optional, all"}};
constexpr AttrDef kConstantOfShapeAttrs[] = {
    {.name = "value", .type = AttrType::kTensor, .doc = "one element; optional, a float32 zero"}};
constexpr AttrDef kEyeLikeAttrs[] = {
    {.name = "dtype",
     .type = AttrType::kInt,
     .doc = "type of the output; optional, that of the input"},
    {.name = "k",
     .type = AttrType::kInt,
     .doc = "diagonal of the ones; above the main one if positive"}};

constexpr AttrDef kRangeAttrs[] = {{.name = "stash_type",
                                    .type = AttrType::kInt,
                                    .doc = "type that 16-bit floats are computed in: float32 (1) "
                                           "or float64 (11)",
                                    .int_default = kStashFloat}};

constexpr OpDef kOps[] = {
    {.name = "Shape",
     .doc = "The dimensions of its input.",
     .attributes = kShapeAttrs,
     .infer = infer_shape,
     .lower = lower_shape,
     .shape_only = true,
     .any_float = true,
     .flops = no_flops},
    {.name = "Size",
     .doc = "The number of elements of its input.",
     .infer = infer_size,
     .lower = lower_size,
     .shape_only = true,
     .any_float = true,
     .flops = no_flops},
    {.name = "ConstantOfShape",
     .doc = "A tensor of a given shape, filled with one value.",
     .attributes = kConstantOfShapeAttrs,
     .infer = infer_constant_of_shape,
     .lower = lower_constant_of_shape,
     .any_float = true,
     .flops = no_flops},
    {.name = "Range",
     .doc = "start, start + delta, ... up to and without limit.",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kRangeAttrs,
     .infer = infer_range,
     .lower = lower_range,
     .any_float = true},
    {.name = "EyeLike",
     .doc = "Ones on a diagonal, zeros elsewhere, in the shape of the input.",
     .attributes = kEyeLikeAttrs,
     .infer = infer_eye_like,
     .lower = lower_eye_like,
     .shape_only = true,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable generate_ops;
const OpTable generate_ops = {kOps};

}  // namespace lanewise
