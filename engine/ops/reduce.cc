// Reductions over any axes. ArgMax and ArgMin are in arg.cc.
#include "engine/kernels/reduce/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/graph/layout.h"
#include "engine/ops/eltwise.h"
#include "engine/ops/reduce.h"

namespace lanewise {
namespace {

enum class Kind { kSum, kMean, kMax, kMin, kProd, kL1, kL2, kLogSum, kLogSumExp, kSumSquare };

}  // namespace

std::vector<bool> reduced_dimensions(const OpContext& c) {
  const int rank = c.shape(0).rank();
  std::vector<std::int64_t> axes;
  if (c.has_input(1)) axes = c.content(1)->int_values();
  const bool all = axes.empty() && c.attr_int("noop_with_empty_axes") == 0;
  std::vector<bool> flags(static_cast<std::size_t>(rank), all);
  for (std::int64_t axis : axes) {
    const auto normal = normalize_axis(axis, rank);
    if (!normal) {
      c.fail("axis " + std::to_string(axis) + " is outside the input of shape " + c.shape(0).str());
    }
    flags[static_cast<std::size_t>(*normal)] = true;
  }
  return flags;
}

namespace {

// Only extremes take integers of 8 and 16 bits, as in ONNX: sums would overflow at once.
template <unsigned types>
void infer_reduce(InferContext& c) {
  expect_types(c, 0, types);
  if ((types & kBools) == 0 && is_integer(c.dtype(0)) && dtype_size(c.dtype(0)) < 4) {
    c.fail("input 0 must have at least 32 bits per integer, found " +
           std::string(dtype_name(c.dtype(0))) + "; cast it to int32 before this node");
  }
  if (c.has_input(1)) c.need(1);
  const std::vector<bool> reduced = reduced_dimensions(c);
  const bool keep = c.attr_int("keepdims") != 0;
  Shape out;
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    if (!reduced[static_cast<std::size_t>(i)])
      out.push_back(c.shape(0)[i]);
    else if (keep)
      out.push_back(1);
  }
  c.set_output(0, c.dtype(0), out);
}

// One or more dimensions that memory walks as one.
struct Dim {
  std::int64_t size = 1, in = 0, out = 0;  // strides in elements
};

// The input in its memory order, outermost first, split into what is kept and what is reduced.
struct ReduceLoop {
  std::vector<Dim> kept, reduced;
  std::int64_t outputs = 1, count = 1;  // products of the sizes
  bool inner_kept = false;              // the dimension of input stride 1

  // Sum of strides of the given index into dims [0, first_dims).
  static Dim at(const std::vector<Dim>& dims, std::size_t first_dims, std::int64_t index) {
    Dim place;
    for (std::size_t d = first_dims; d-- > 0;) {
      place.in += index % dims[d].size * dims[d].in;
      place.out += index % dims[d].size * dims[d].out;
      index /= dims[d].size;
    }
    return place;
  }
};

ReduceLoop reduce_loop(const LowerContext& c) {
  const Shape& in = c.shape(0);
  const int rank = in.rank();
  const std::vector<bool> reduced = reduced_dimensions(c);
  const bool keep = c.attr_int("keepdims") != 0;
  const std::vector<std::int64_t> in_strides = physical(in, c.layout(0)).strides();
  const std::vector<std::int64_t> out_strides = physical(c.out_shape(0), c.out_layout(0)).strides();
  std::vector<std::pair<Dim, bool>> dims(
      static_cast<std::size_t>(rank));  // with whether it is reduced
  int out_axis = 0;
  for (int axis = 0; axis < rank; ++axis) {
    const auto place = static_cast<std::size_t>(physical_axis(axis, rank, c.layout(0)));
    const bool gone = reduced[static_cast<std::size_t>(axis)];
    Dim dim{in[axis], in_strides[place], 0};
    if (!gone)
      dim.out = out_strides[static_cast<std::size_t>(
          physical_axis(out_axis, c.out_shape(0).rank(), c.out_layout(0)))];
    if (!gone || keep) ++out_axis;
    dims[place] = {dim, gone};
  }
  ReduceLoop loop;
  const std::vector<Dim>* last = nullptr;
  for (const auto& [dim, gone] : dims) {
    (gone ? loop.count : loop.outputs) *= dim.size;
    if (dim.size == 1) continue;
    std::vector<Dim>& list = gone ? loop.reduced : loop.kept;
    const bool merges = last == &list && list.back().in == dim.in * dim.size &&
                        list.back().out == dim.out * dim.size;
    if (merges)
      list.back() = {list.back().size * dim.size, dim.in, dim.out};
    else
      list.push_back(dim);
    last = &list;
  }
  loop.inner_kept = last == &loop.kept;
  if (loop.reduced.empty()) loop.reduced.push_back({loop.count, 0, 0});
  if (loop.kept.empty()) loop.kept.push_back({loop.outputs, 0, 0});
  return loop;
}

kernels::Reduction kernel_of(Kind kind) {
  switch (kind) {
    case Kind::kMax: return kernels::Reduction::kMax;
    case Kind::kMin: return kernels::Reduction::kMin;
    case Kind::kL1: return kernels::Reduction::kSumAbs;
    case Kind::kL2:
    case Kind::kSumSquare: return kernels::Reduction::kSumSquare;
    default: return kernels::Reduction::kSum;
  }
}

// What remains to be done with a total over `count` elements.
float finish(Kind kind, double total, std::int64_t count) {
  switch (kind) {
    case Kind::kMean: return static_cast<float>(total / static_cast<double>(count));
    case Kind::kL2: return static_cast<float>(std::sqrt(total));
    case Kind::kLogSum: return static_cast<float>(std::log(total));
    default: return static_cast<float>(total);
  }
}

double combine(kernels::Reduction r, double a, double b) {
  if (r == kernels::Reduction::kMax) return a > b || a != a ? a : b;
  if (r == kernels::Reduction::kMin) return a < b || a != a ? a : b;
  return a + b;
}

// The innermost dimension is reduced: rows of adjacent elements, in pieces of fixed size so that a
// few long rows still occupy several threads.
Step reduce_rows(const LowerContext& c, Kind kind, const ReduceLoop& loop) {
  constexpr std::int64_t kPiece = 65536;
  const kernels::Reduction reduction = kernel_of(kind);
  const kernels::ReduceRowRun kernel =
      kernels::reduce_row(c.isa()).run[static_cast<int>(reduction)];
  const std::int64_t n = loop.reduced.back().size, outer = n == 0 ? 0 : loop.count / n;
  const std::int64_t pieces = (n + kPiece - 1) / kPiece, per_output = outer * pieces;
  Step step;
  const bool split = per_output > 1 && pieces > 1;
  if (split)
    step.scratch_bytes =
        static_cast<std::size_t>(checked_multiply(loop.outputs, per_output)) * sizeof(double);
  step.run = [=](const RunContext& run) {
    const float* x = run.in<float>(0);
    const std::size_t outer_dims = loop.reduced.size() - 1;
    const auto part = [&](std::int64_t output, std::int64_t index) {
      const std::int64_t begin = index % pieces * kPiece;
      const std::int64_t at = ReduceLoop::at(loop.kept, loop.kept.size(), output).in +
                              ReduceLoop::at(loop.reduced, outer_dims, index / pieces).in;
      return kernel(x + at + begin, std::min(kPiece, n - begin));
    };
    auto* parts = reinterpret_cast<double*>(run.scratch);
    if (split) {
      parallel_tasks(run.threads, loop.outputs * per_output, [&](std::int64_t task, int) {
        parts[task] = part(task / per_output, task % per_output);
      });
    }
    parallel_for(run.threads, loop.outputs,
                 std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, loop.count)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t o = begin; o < end; ++o) {
                     double total = kernels::reduction_start(reduction);
                     for (std::int64_t i = 0; i < per_output; ++i) {
                       total = combine(reduction, total,
                                       split ? parts[o * per_output + i] : part(o, i));
                     }
                     run.out<float>(0)[ReduceLoop::at(loop.kept, loop.kept.size(), o).out] =
                         finish(kind, total, loop.count);
                   }
                 });
  };
  step.algorithm = split ? "rows in pieces" : "rows";
  return step;
}

// The innermost dimension is kept: columns, a vector lane each.
Step reduce_columns(const LowerContext& c, Kind kind, const ReduceLoop& loop) {
  constexpr std::int64_t kChunk = 256;
  const kernels::Reduction reduction = kernel_of(kind);
  const kernels::ReduceColumnsRun kernel =
      kernels::reduce_columns(c.isa()).run[static_cast<int>(reduction)];
  const Dim inner = loop.kept.back();
  const std::int64_t groups = inner.size == 0 ? 0 : loop.outputs / inner.size;
  const std::int64_t chunks = (inner.size + kChunk - 1) / kChunk;
  const Dim rows = loop.reduced.back();
  const std::int64_t outer = rows.size == 0 ? 0 : loop.count / rows.size;
  Step step;
  step.run = [=](const RunContext& run) {
    const std::int64_t grain = std::max<std::int64_t>(
        1, kGrain / std::max<std::int64_t>(1, loop.count * std::min(kChunk, inner.size)));
    parallel_for(run.threads, groups * chunks, grain, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t task = first; task < last; ++task) {
        const std::int64_t begin = task % chunks * kChunk,
                           cols = std::min(kChunk, inner.size - begin);
        const Dim place = ReduceLoop::at(loop.kept, loop.kept.size() - 1, task / chunks);
        double totals[kChunk];
        std::fill_n(totals, cols, kernels::reduction_start(reduction));
        const float* x = run.in<float>(0) + place.in + begin;
        for (std::int64_t i = 0; i < outer; ++i) {
          const std::int64_t at = ReduceLoop::at(loop.reduced, loop.reduced.size() - 1, i).in;
          kernel(x + at, rows.size, rows.in, totals, cols);
        }
        float* y = run.out<float>(0) + place.out + begin * inner.out;
        for (std::int64_t j = 0; j < cols; ++j)
          y[j * inner.out] = finish(kind, totals[j], loop.count);
      }
    });
  };
  step.algorithm = "columns";
  return step;
}

// Any type and kind, one output at a time. Floats accumulate in float64; integers wrap around.
template <class T, Kind kind>
struct Reducer {
  static constexpr bool kFloat = std::is_floating_point_v<T>;
  using Limits = std::numeric_limits<T>;
  using Total =
      std::conditional_t<kFloat, double,
                         std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

  static constexpr Total start() {
    if constexpr (kind == Kind::kProd) return 1;
    if constexpr (kind == Kind::kMax)
      return kFloat ? -static_cast<Total>(Limits::infinity())
                    : static_cast<Total>(Limits::lowest());
    if constexpr (kind == Kind::kMin)
      return static_cast<Total>(kFloat ? Limits::infinity() : Limits::max());
    return 0;
  }

  static Total wrap(std::uint64_t x) { return static_cast<Total>(x); }

  static Total add(Total total, T element) {
    const Total x = static_cast<Total>(element);
    if constexpr (kind == Kind::kMax) return total > x || total != total ? total : x;
    if constexpr (kind == Kind::kMin) return total < x || total != total ? total : x;
    if constexpr (kFloat) {
      if constexpr (kind == Kind::kProd) return total * x;
      if constexpr (kind == Kind::kL1) return total + std::abs(x);
      if constexpr (kind == Kind::kL2 || kind == Kind::kSumSquare) return total + x * x;
      return total + x;
    } else {
      const auto t = static_cast<std::uint64_t>(total), u = static_cast<std::uint64_t>(x);
      if constexpr (kind == Kind::kProd) return wrap(t * u);
      if constexpr (kind == Kind::kL1) return wrap(x < 0 ? t - u : t + u);
      if constexpr (kind == Kind::kL2 || kind == Kind::kSumSquare) return wrap(t + u * u);
      return wrap(t + u);
    }
  }

  // An integer mean truncates toward zero, and is 0 over no elements.
  static T finish(Total total, std::int64_t count) {
    if constexpr (kind == Kind::kMean && !kFloat)
      return static_cast<T>(count == 0 ? 0 : total / static_cast<Total>(count));
    if constexpr (kind == Kind::kMean && kFloat)
      return static_cast<T>(total / static_cast<double>(count));
    if constexpr (kind == Kind::kL2) return saturate_cast<T>(std::sqrt(static_cast<double>(total)));
    if constexpr (kind == Kind::kLogSum)
      return saturate_cast<T>(std::log(static_cast<double>(total)));
    return static_cast<T>(total);
  }

  template <class F>
  static void each(const ReduceLoop& loop, const T* x, F&& f) {
    const Dim inner = loop.reduced.back();
    const std::int64_t outer = inner.size == 0 ? 0 : loop.count / inner.size;
    for (std::int64_t i = 0; i < outer; ++i) {
      const T* row = x + ReduceLoop::at(loop.reduced, loop.reduced.size() - 1, i).in;
      for (std::int64_t j = 0; j < inner.size; ++j) f(row[j * inner.in]);
    }
  }

  static T reduce(const ReduceLoop& loop, const T* x) {
    if constexpr (kind == Kind::kLogSumExp) {
      double most = -std::numeric_limits<double>::infinity(), sum = 0.0;
      each(loop, x, [&](T e) {
        most = static_cast<double>(e) > most || e != e ? static_cast<double>(e) : most;
      });
      if (std::isinf(most) || most != most) return saturate_cast<T>(most);
      each(loop, x, [&](T e) { sum += std::exp(static_cast<double>(e) - most); });
      return saturate_cast<T>(most + std::log(sum));
    } else {
      Total total = start();
      each(loop, x, [&](T e) { total = add(total, e); });
      return finish(total, loop.count);
    }
  }
};

using GenericRun = void (*)(const ReduceLoop& loop, const void* x, void* y, std::int64_t begin,
                            std::int64_t end);

template <class T, Kind kind>
void reduce_outputs(const ReduceLoop& loop, const void* x, void* y, std::int64_t begin,
                    std::int64_t end) {
  for (std::int64_t o = begin; o < end; ++o) {
    const Dim place = ReduceLoop::at(loop.kept, loop.kept.size(), o);
    static_cast<T*>(y)[place.out] =
        Reducer<T, kind>::reduce(loop, static_cast<const T*>(x) + place.in);
  }
}

Step reduce_generic(const ReduceLoop& loop, GenericRun f) {
  Step step;
  step.run = [loop, f](const RunContext& run) {
    const std::int64_t grain =
        std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, loop.count));
    parallel_for(run.threads, loop.outputs, grain, [&](std::int64_t begin, std::int64_t end) {
      f(loop, run.in<void>(0), run.out<void>(0), begin, end);
    });
  };
  return step;
}

template <Kind kind>
Step lower_reduce(LowerContext& c) {
  const ReduceLoop loop = reduce_loop(c);
  constexpr bool kSimd = kind != Kind::kProd && kind != Kind::kLogSumExp;
  if (kSimd && c.dtype(0) == DType::kFloat32) {
    return loop.inner_kept ? reduce_columns(c, kind, loop) : reduce_rows(c, kind, loop);
  }
  // false and true order as 0 and 1.
  const DType type = c.dtype(0) == DType::kBool ? DType::kUInt8 : c.dtype(0);
  GenericRun f = nullptr;
  visit_number(type, [&]<class T>(std::type_identity<T>) {
    constexpr bool kExtreme = kind == Kind::kMax || kind == Kind::kMin;
    if constexpr ((kExtreme || sizeof(T) >= 4) && !(kSimd && std::is_same_v<T, float>))
      f = reduce_outputs<T, kind>;
  });
  return reduce_generic(loop, f);
}

double reduce_flops(const OpContext& c, std::span<const ValueInfo>) {
  return static_cast<double>(c.shape(0).elements());
}

constexpr AttrDef kAttrs[] = {{.name = "keepdims",
                               .type = AttrType::kInt,
                               .doc = "1: reduced dimensions stay, with size 1",
                               .int_default = 1},
                              {.name = "noop_with_empty_axes",
                               .type = AttrType::kInt,
                               .doc = "1: no axes means none, not all"}};

constexpr OpDef reduction(std::string_view name, std::string_view doc, Step (*lower)(LowerContext&),
                          void (*infer)(InferContext&) = infer_reduce<kNumbers>) {
  return {.name = name,
          .doc = doc,
          .max_inputs = 2,
          .attributes = kAttrs,
          .infer = infer,
          .lower = lower,
          .layout = LayoutRule::kFollow,
          .flops = reduce_flops};
}

constexpr OpDef kOps[] = {
    reduction("ReduceSum", "Sum; 0 over no elements.", lower_reduce<Kind::kSum>),
    reduction("ReduceMean", "Mean; NaN over no elements.", lower_reduce<Kind::kMean>),
    reduction("ReduceMax", "Greatest; the type's least value over no elements.",
              lower_reduce<Kind::kMax>, infer_reduce<kNumbers | kBools>),
    reduction("ReduceMin", "Least; the type's greatest value over no elements.",
              lower_reduce<Kind::kMin>, infer_reduce<kNumbers | kBools>),
    reduction("ReduceProd", "Product; 1 over no elements.", lower_reduce<Kind::kProd>),
    reduction("ReduceL1", "Sum of magnitudes.", lower_reduce<Kind::kL1>),
    reduction("ReduceL2", "Square root of the sum of squares.", lower_reduce<Kind::kL2>),
    reduction("ReduceLogSum", "Logarithm of the sum.", lower_reduce<Kind::kLogSum>),
    reduction("ReduceLogSumExp", "Logarithm of the sum of exponentials, shifted by the maximum.",
              lower_reduce<Kind::kLogSumExp>),
    reduction("ReduceSumSquare", "Sum of squares.", lower_reduce<Kind::kSumSquare>),
};

}  // namespace

extern const OpTable reduce_ops;
const OpTable reduce_ops = {kOps};

}  // namespace lanewise
