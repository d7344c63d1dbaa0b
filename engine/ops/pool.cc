// MaxPool, AveragePool and LpPool in 1-D to 3-D and beyond, channels-last or plain. The window's
// arithmetic is in window.h, the indices of MaxPool in max_pool_indices.h, global pooling in
// global_pool.cc.
#include "engine/kernels/pool/pool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/ops/max_pool_indices.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

using kernels::PoolRow;

enum class Kind { kMax, kMean, kLp };

// The row in plain C++: other element types, and norms other than 1 and 2.
template <class T, Kind kind>
void pool_row(const PoolRow<T>& r, int p) noexcept {
  for (std::int64_t o = 0; o < r.out_width; ++o) {
    const std::int64_t start = o * r.stride - r.pad;
    const auto taps = kernels::tap_range(start, r.kernel, r.dilation, 0, r.width);
    T* out = r.out + o * r.channels;
    using Limits = std::numeric_limits<T>;
    constexpr T kLeast = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    std::fill(out, out + r.channels, kind == Kind::kMax ? kLeast : T{0});
    for (std::int64_t i = 0; i < r.row_count; ++i) {
      for (std::int64_t k = taps.first; k < taps.last; ++k) {
        const T* x = r.in + (r.rows[i] * r.width + start + k * r.dilation) * r.channels;
        for (std::int64_t c = 0; c < r.channels; ++c) {
          if constexpr (kind == Kind::kMax) {
            out[c] = x[c] > out[c] ? x[c] : out[c];
          } else if constexpr (kind == Kind::kMean) {
            out[c] += x[c];
          } else {
            out[c] += static_cast<T>(std::pow(std::abs(static_cast<double>(x[c])), p));
          }
        }
      }
    }
    if constexpr (kind == Kind::kMean) {
      const auto counted =
          kernels::tap_range(start, r.kernel, r.dilation, r.counted_begin, r.counted_end);
      const std::int64_t count = r.counted_rows * (counted.last - counted.first);
      for (std::int64_t c = 0; c < r.channels; ++c)
        out[c] /= static_cast<T>(std::max<std::int64_t>(count, 1));
    } else if constexpr (kind == Kind::kLp) {
      for (std::int64_t c = 0; c < r.channels; ++c) {
        out[c] = static_cast<T>(std::pow(static_cast<double>(out[c]), 1.0 / p));
      }
    }
  }
}

// Runs `row(PoolRow)` for every output row of every image.
template <class T, class RowFn>
Step make_step(const LowerContext& c, const Window& window, bool include_pad, RowFn row_fn,
               std::string algorithm) {
  const Shape& in = c.shape(0);
  const bool last = c.layout(0) == Layout::kChannelsLast && in.rank() >= 3;
  if (last != (c.out_layout(0) == Layout::kChannelsLast && in.rank() >= 3)) {
    c.fail("pooling must keep the layout of its input");
  }
  const auto axis = static_cast<std::size_t>(window.rank() - 1);
  const auto rows = std::make_shared<const WindowRows>(window_axes(window, in));
  PoolRow<T> shape;
  shape.width = in[in.rank() - 1];
  shape.channels = last ? in[1] : 1;
  shape.out_width = window.out[axis];
  shape.kernel = window.kernel[axis];
  shape.stride = window.stride[axis];
  shape.dilation = window.dilation[axis];
  shape.pad = window.pad_begin[axis];
  shape.counted_begin = include_pad ? -window.pad_begin[axis] : 0;
  shape.counted_end = shape.width + (include_pad ? window.pad_end[axis] : 0);
  const std::int64_t images = last ? in[0] : checked_multiply(in[0], in[1]);
  const std::int64_t in_size = rows->in_rows() * shape.width * shape.channels;
  const std::int64_t out_size = shape.out_width * shape.channels;
  const std::int64_t all_rows = c.out_shape(0).elements() == 0 ? 0 : images * rows->out_rows();
  // Enough rows per task that handing it out costs nothing beside it.
  const std::int64_t block =
      std::clamp<std::int64_t>(8192 / std::max<std::int64_t>(out_size, 1), 1, 64);
  const std::int64_t most = std::max<std::int64_t>(rows->most(), 1);
  Step step;
  step.algorithm = std::move(algorithm);
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(most * 8, c.threads()));
  step.run = [=](const RunContext& run) {
    parallel_tasks(run.threads, (all_rows + block - 1) / block, [&](std::int64_t task, int thread) {
      std::int64_t* list = reinterpret_cast<std::int64_t*>(run.scratch) + thread * most;
      PoolRow<T> r = shape;
      r.rows = list;
      for (std::int64_t i = task * block; i < std::min(all_rows, (task + 1) * block); ++i) {
        const std::int64_t image = i / rows->out_rows(), row = i % rows->out_rows();
        r.in = run.in<T>(0) + image * in_size;
        r.out = run.out<T>(0) + i * out_size;
        r.row_count = rows->at(row, list, nullptr);
        r.counted_rows = rows->counted(row, include_pad);
        row_fn(r);
      }
    });
  };
  return step;
}

template <class T, Kind kind>
Step lower_plain(const LowerContext& c, const Window& window, bool include_pad, int p) {
  return make_step<T>(
      c, window, include_pad, [p](const PoolRow<T>& r) { pool_row<T, kind>(r, p); },
      "rows, plain C++");
}

Window pool_window(const OpContext& c) {
  return resolve_window(c, pool_kernel(c), c.attr_int("ceil_mode") != 0);
}

void infer_max(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kInt8, DType::kUInt8});
  const std::int64_t order = c.attr_int("storage_order");
  if (order != 0 && order != 1) {
    c.fail("attribute 'storage_order' is " + std::to_string(order) + ", expected 0 or 1");
  }
  const Window window = pool_window(c);
  const Shape out = window_output(c, window, c.shape(0)[1]);
  c.set_output(0, c.dtype(0), out);
  c.set_output(1, DType::kInt64, out);
}

void infer_float(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  const Window window = pool_window(c);
  c.set_output(0, c.dtype(0), window_output(c, window, c.shape(0)[1]));
}

void infer_lp(InferContext& c) {
  const std::int64_t p = c.attr_int("p");
  if (p < 1 || p > 1024) c.fail("attribute 'p' is " + std::to_string(p) + ", expected 1 to 1024");
  infer_float(c);
}

Step lower_max(LowerContext& c) {
  const Window window = pool_window(c);
  if (c.has_output(1)) return lower_max_with_indices(c, window);
  if (c.dtype(0) == DType::kFloat32) {
    return make_step<float>(c, window, false, kernels::pool_f32(c.isa()).max, "rows");
  }
  if (c.dtype(0) == DType::kFloat64) return lower_plain<double, Kind::kMax>(c, window, false, 0);
  const kernels::PoolBytes& kernel = kernels::pool_bytes(c.isa());
  if (c.dtype(0) == DType::kUInt8)
    return make_step<std::uint8_t>(c, window, false, kernel.max_u8, "rows");
  return make_step<std::int8_t>(c, window, false, kernel.max_s8, "rows");
}

Step lower_average(LowerContext& c) {
  const Window window = pool_window(c);
  const bool include_pad = c.attr_int("count_include_pad") != 0;
  if (c.dtype(0) == DType::kFloat64)
    return lower_plain<double, Kind::kMean>(c, window, include_pad, 0);
  return make_step<float>(c, window, include_pad, kernels::pool_f32(c.isa()).mean, "rows");
}

Step lower_lp(LowerContext& c) {
  const Window window = pool_window(c);
  const int p = static_cast<int>(c.attr_int("p"));
  if (c.dtype(0) == DType::kFloat64) return lower_plain<double, Kind::kLp>(c, window, false, p);
  if (p > 2) return lower_plain<float, Kind::kLp>(c, window, false, p);
  const kernels::PoolF32& kernel = kernels::pool_f32(c.isa());
  return make_step<float>(c, window, false, p == 1 ? kernel.l1 : kernel.l2, "rows");
}

double pool_flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  double taps = 1;
  for (std::int64_t size : pool_kernel(c)) taps *= static_cast<double>(size);
  return taps * static_cast<double>(outputs[0].shape.elements());
}

#define LANEWISE_WINDOW_ATTRS                                                               \
  {.name = "kernel_shape",                                                                  \
   .type = AttrType::kInts,                                                                 \
   .doc = "window size per axis",                                                           \
   .required = true},                                                                       \
      {.name = "strides", .type = AttrType::kInts, .doc = "step per axis, 1 unless given"}, \
      {.name = "dilations",                                                                 \
       .type = AttrType::kInts,                                                             \
       .doc = "distance of taps per axis, 1 unless given"},                                 \
      {.name = "pads",                                                                      \
       .type = AttrType::kInts,                                                             \
       .doc = "all begins, then all ends; 0 unless given"},                                 \
      {.name = "auto_pad",                                                                  \
       .type = AttrType::kString,                                                           \
       .doc = "NOTSET, SAME_UPPER, SAME_LOWER or VALID",                                    \
       .string_default = "NOTSET"},                                                         \
      {.name = "ceil_mode",                                                                 \
       .type = AttrType::kInt,                                                              \
       .doc = "1: a last window may end past the padding"}

constexpr AttrDef kMaxAttrs[] = {
    LANEWISE_WINDOW_ATTRS,
    {.name = "storage_order", .type = AttrType::kInt, .doc = "1: indices count column-major"}};
constexpr AttrDef kAverageAttrs[] = {
    LANEWISE_WINDOW_ATTRS,
    {.name = "count_include_pad", .type = AttrType::kInt, .doc = "1: the mean counts padding"}};
constexpr AttrDef kLpAttrs[] = {
    LANEWISE_WINDOW_ATTRS,
    {.name = "p", .type = AttrType::kInt, .doc = "order of the norm", .int_default = 2}};
#undef LANEWISE_WINDOW_ATTRS

constexpr OpDef kOps[] = {
    {.name = "MaxPool",
     .doc = "The largest element under each window (Zhou & Chellappa 1988), and where it lies; "
            "padding and NaN lose against every number.",
     .max_outputs = 2,
     .attributes = kMaxAttrs,
     .infer = infer_max,
     .lower = lower_max,
     .layout = LayoutRule::kChannels,
     .flops = pool_flops},
    {.name = "AveragePool",
     .doc = "The mean under each window (LeCun et al. 1990).",
     .attributes = kAverageAttrs,
     .infer = infer_float,
     .lower = lower_average,
     .layout = LayoutRule::kChannels,
     .flops = pool_flops},
    {.name = "LpPool",
     .doc = "The p-norm under each window (Sermanet et al. 2012).",
     .attributes = kLpAttrs,
     .infer = infer_lp,
     .lower = lower_lp,
     .layout = LayoutRule::kChannels,
     .flops = pool_flops},
};

}  // namespace

extern const OpTable pool_ops;
const OpTable pool_ops = {kOps};

}  // namespace lanewise
