// com.microsoft: QLinearGlobalAveragePool and QLinearAveragePool, means with exact int32 sums.
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/ops/qlinear.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

constexpr std::int64_t kMostTerms = std::int64_t{1}
                                    << 23;  // whose sum of 8-bit differences fits int32

// The array as planes of positions with channels innermost: [planes][positions][channels].
struct Planes {
  std::int64_t planes = 0, positions = 0, channels = 0;
};

Planes planes_of(const Shape& x, bool channels_innermost) {
  const std::int64_t positions = x.elements(2, x.rank());
  if (channels_innermost) return {x[0], positions, x[1]};
  return {x[0] * x[1], positions, 1};
}

void infer_global(InferContext& c) {
  expect_operand(c, 0);
  expect_result(c, 3, c.dtype(0));
  c.expect_rank(0, 3, 16);
  const Shape& x = c.shape(0);
  const bool last = c.attr_int("channels_last") != 0;
  Shape out = x;
  for (int i = 1; i < x.rank(); ++i) {
    if (i != (last ? x.rank() - 1 : 1)) out[i] = 1;
  }
  if (x.elements(1, x.rank()) / std::max<std::int64_t>(1, x[last ? x.rank() - 1 : 1]) >=
      kMostTerms) {
    c.unsupported("means of more than 8388607 elements are not supported");
  }
  c.set_output(0, c.dtype(0), out);
}

// Mean over the positions of a plane: channels innermost are summed row by row, else element by
// element.
template <class T>
void global_mean(const RunContext& run, const Planes& p, const kernels::Quantize& table) {
  if (p.channels == 0) return;
  const QuantParameter x = parameter(run, 1, kDTypeOf<T>), y = parameter(run, 3, kDTypeOf<T>);
  const float factor = x.scale / (y.scale * static_cast<float>(p.positions));
  const auto& rows = quant_rows<T>(table);
  const std::int64_t grain = 16384 / std::max<std::int64_t>(1, p.positions * p.channels) + 1;
  parallel_for(run.threads, p.planes, grain, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kChunk = 512;
    std::int32_t sums[kChunk];
    float factors[kChunk];
    std::fill_n(factors, kChunk, factor);
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* from = run.in<T>(0) + plane * p.positions * p.channels;
      for (std::int64_t c = 0; c < p.channels; c += kChunk) {
        const std::int64_t n = std::min(kChunk, p.channels - c);
        std::fill_n(sums, n, 0);
        if (p.channels == 1) {
          for (std::int64_t i = 0; i < p.positions; ++i) sums[0] += from[i] - x.zero;
        } else {
          for (std::int64_t i = 0; i < p.positions; ++i)
            rows.accumulate(n, from + i * p.channels + c, x.zero, sums);
        }
        rows.requantize(n, sums, nullptr, factors, y.zero, run.out<T>(0) + plane * p.channels + c);
      }
    }
  });
}

Step lower_global(LowerContext& c) {
  const Shape& x = c.shape(0);
  Planes planes;
  if (c.attr_int("channels_last") != 0) {
    const std::int64_t channels = x[x.rank() - 1];
    planes = {x[0], x.elements(1, x.rank() - 1), channels};
  } else {
    planes = planes_of(x, c.layout(0) == Layout::kChannelsLast);
  }
  Step step;
  step.algorithm = "integer sums";
  step.run = [planes, dtype = c.dtype(0),
              &table = kernels::quantize(c.isa())](const RunContext& run) {
    visit_byte(dtype, [&]<class T>(std::type_identity<T>) { global_mean<T>(run, planes, table); });
  };
  return step;
}

void infer_average(InferContext& c) {
  expect_operand(c, 0);
  expect_result(c, 3, c.dtype(0));
  if (c.attr_int("channels_last") != 0) {
    c.unsupported("channels_last = 1 is not supported; give the tensor in channels-first order");
  }
  const Window window = resolve_window(c, pool_kernel(c), c.attr_int("ceil_mode") != 0);
  if (Shape(window.kernel).elements() >= kMostTerms) {
    c.unsupported("means of more than 8388607 elements are not supported");
  }
  c.set_output(0, c.dtype(0), window_output(c, window, c.shape(0)[1]));
}

class AveragePool {
 public:
  AveragePool(LowerContext& c, Planes planes)
      : window_(resolve_window(c, pool_kernel(c), c.attr_int("ceil_mode") != 0)),
        planes_(planes),
        size_(c.shape(0).begin() + 2, c.shape(0).end()),
        include_pad_(c.attr_int("count_include_pad") != 0),
        out_positions_(Shape(window_.out).elements()),
        threads_(c.threads()),
        table_(kernels::quantize(c.isa())) {}

  // Per thread: sums and factors of one position.
  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(
        checked_multiply(checked_multiply(planes_.channels, 8), threads_));
  }

  template <class T>
  void run(const RunContext& run) const {
    if (planes_.channels == 0 || out_positions_ == 0) return;
    const QuantParameter x = parameter(run, 1, kDTypeOf<T>), y = parameter(run, 3, kDTypeOf<T>);
    const auto& rows = quant_rows<T>(table_);
    const int threads = std::min(threads_, run.threads);
    parallel_tasks(threads, planes_.planes, [&](std::int64_t plane, int thread) {
      const std::int64_t n = planes_.channels;
      auto* sums = reinterpret_cast<std::int32_t*>(run.scratch) + thread * 2 * n;
      auto* factors = reinterpret_cast<float*>(sums + n);
      const T* from = run.in<T>(0) + plane * planes_.positions * n;
      for (std::int64_t o = 0; o < out_positions_; ++o) {
        std::fill_n(sums, n, 0);
        const std::int64_t terms = for_window(
            o, [&](std::int64_t at) { rows.accumulate(n, from + at * n, x.zero, sums); });
        std::fill_n(factors, n,
                    x.scale / (y.scale * static_cast<float>(std::max<std::int64_t>(1, terms))));
        rows.requantize(n, sums, nullptr, factors, y.zero,
                        run.out<T>(0) + (plane * out_positions_ + o) * n);
      }
    });
  }

 private:
  // Calls f with each input position of the window of output position `o`; returns the divisor.
  template <class F>
  std::int64_t for_window(std::int64_t o, F&& f) const {
    return visit_axis(0, 0, o, out_positions_, f);
  }

  // Axis by axis; `base` is the input position so far, `rest` the output position within the axes
  // left.
  template <class F>
  std::int64_t visit_axis(std::size_t axis, std::int64_t base, std::int64_t rest, std::int64_t span,
                          F& f) const {
    if (axis == size_.size()) {
      f(base);
      return 1;
    }
    span /= window_.out[axis];
    const std::int64_t start = rest / span * window_.stride[axis] - window_.pad_begin[axis];
    std::int64_t inside = 0, padded = 0, inner = 0;
    for (std::int64_t k = 0; k < window_.kernel[axis]; ++k) {
      const std::int64_t at = start + k * window_.dilation[axis];
      padded += at < size_[axis] + window_.pad_end[axis] ? 1 : 0;
      if (at < 0 || at >= size_[axis]) continue;
      ++inside;
      inner = visit_axis(axis + 1, base * size_[axis] + at, rest % span, span, f);
    }
    if (inside == 0) return 0;  // nothing but padding: the sum is 0 whatever the divisor
    return inner * (include_pad_ ? padded : inside);
  }

  Window window_;
  Planes planes_;
  std::vector<std::int64_t> size_;
  bool include_pad_;
  std::int64_t out_positions_;
  int threads_;
  const kernels::Quantize& table_;
};

Step lower_average(LowerContext& c) {
  const Planes planes = planes_of(c.shape(0), c.layout(0) == Layout::kChannelsLast);
  auto pool = std::make_shared<const AveragePool>(c, planes);
  Step step;
  step.algorithm = "integer sums";
  step.scratch_bytes = pool->scratch_bytes();
  step.run = [pool, dtype = c.dtype(0)](const RunContext& run) {
    visit_byte(dtype, [&]<class T>(std::type_identity<T>) { pool->run<T>(run); });
  };
  return step;
}

constexpr AttrDef kChannelsLast = {
    .name = "channels_last",
    .type = AttrType::kInt,
    .doc = "1: the last dimension holds the channels, not the second"};
constexpr AttrDef kGlobalAttrs[] = {kChannelsLast};
constexpr AttrDef kAverageAttrs[] = {
    {.name = "auto_pad",
     .type = AttrType::kString,
     .doc = "NOTSET, VALID, SAME_UPPER or SAME_LOWER",
     .string_default = "NOTSET"},
    {.name = "ceil_mode",
     .type = AttrType::kInt,
     .doc = "1: the last window may reach past the padding"},
    kChannelsLast,
    {.name = "count_include_pad",
     .type = AttrType::kInt,
     .doc = "1: padding counts in the divisor"},
    {.name = "kernel_shape",
     .type = AttrType::kInts,
     .doc = "size of the window",
     .required = true},
    {.name = "pads", .type = AttrType::kInts, .doc = "begins, then ends; 0 if absent"},
    {.name = "strides", .type = AttrType::kInts, .doc = "1 along each axis if absent"},
};

constexpr OpDef kOps[] = {
    // Row-major when channels_last is set: only the operator knows which dimension the channels
    // are.
    {.domain = "com.microsoft",
     .name = "QLinearGlobalAveragePool",
     .doc = "Mean of quantised values over all positions, quantised.",
     .min_inputs = 4,
     .max_inputs = 5,
     .attributes = kGlobalAttrs,
     .infer = infer_global,
     .lower = lower_global},
    {.domain = "com.microsoft",
     .name = "QLinearAveragePool",
     .doc = "Means of quantised values over windows, quantised.",
     .min_inputs = 4,
     .max_inputs = 5,
     .attributes = kAverageAttrs,
     .infer = infer_average,
     .lower = lower_average,
     .layout = LayoutRule::kChannels},
};

}  // namespace

extern const OpTable qlinear_pool_ops;
const OpTable qlinear_pool_ops = {kOps};

}  // namespace lanewise
