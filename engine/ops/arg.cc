// Positions of extremes: ArgMax, ArgMin, TopK.
#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

// Row-major input split at an axis: element k of group (o, i) is x[(o * n + k) * inner + i].
struct Split {
  std::int64_t outer = 1, n = 1, inner = 1;
};

Split split_at(const Shape& shape, int axis) {
  return {shape.elements(0, axis), shape[axis], shape.elements(axis + 1, shape.rank())};
}

// NaN orders above every number, as in NumPy.
template <class T>
bool above(T a, T b) {
  return a > b || (a != a && b == b);
}
template <class T>
bool below(T a, T b) {
  return a < b || (b != b && a == a);
}

void infer_arg(InferContext& c) {
  expect_types(c, 0, kNumbers);
  if (c.shape(0).rank() == 0) c.fail("input must have at least one dimension, found a scalar");
  const int axis = c.attr_axis(c.shape(0).rank());
  if (c.shape(0)[axis] == 0) {
    c.fail("axis " + std::to_string(axis) + " of shape " + c.shape(0).str() +
           " is empty: no element is the extreme");
  }
  if (c.shape(0)[axis] > std::numeric_limits<std::int32_t>::max()) {
    c.unsupported("axis " + std::to_string(axis) + " of shape " + c.shape(0).str() +
                  " is too long; at most 2^31 - 1 elements are searched");
  }
  Shape out;
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    if (i != axis)
      out.push_back(c.shape(0)[i]);
    else if (c.attr_int("keepdims") != 0)
      out.push_back(1);
  }
  c.set_output(0, DType::kInt64, out);
}

// Whether v takes the place of b. NaN is the extreme in both directions, as in NumPy; `last` lets
// the last of equal elements win.
template <class T, bool greatest, bool last>
bool replaces(T v, T b) {
  const bool better = greatest ? v > b : v < b;
  const bool equal = last && ((v == b) | ((v != v) & (b != b)));
  return better | ((v != v) & (b == b)) | equal;
}

template <class T, bool greatest, bool last>
std::int64_t extreme_of_row(const T* x, std::int64_t n) {
  std::int64_t best = 0;
  for (std::int64_t k = 1; k < n; ++k) {
    if (replaces<T, greatest, last>(x[k], x[best])) best = k;
  }
  return best;
}

// Groups [begin, end) of block o, side by side: each element is compared as memory has it.
template <class T, bool greatest, bool last>
void extremes(const void* input, const Split& s, std::int64_t o, std::int64_t begin,
              std::int64_t end, std::int64_t* out) {
  const T* x = static_cast<const T*>(input) + o * s.n * s.inner;
  out += o * s.inner;
  if (s.inner == 1) {
    *out = extreme_of_row<T, greatest, last>(x, s.n);
    return;
  }
  // Positions as wide as the elements, so that vectors select both alike.
  using Position = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
  constexpr std::int64_t kChunk = 256;
  T best[kChunk];
  Position position[kChunk];
  for (std::int64_t chunk = begin; chunk < end; chunk += kChunk) {
    const std::int64_t size = std::min(kChunk, end - chunk);
    std::copy(x + chunk, x + chunk + size, best);
    std::fill(position, position + size, Position{0});
    for (std::int64_t k = 1; k < s.n; ++k) {
      const T* row = x + k * s.inner + chunk;
      for (std::int64_t i = 0; i < size; ++i) {
        const T v = row[i], b = best[i];
        const Position p = position[i];
        const bool wins = replaces<T, greatest, last>(v, b);
        best[i] = wins ? v : b;
        position[i] = wins ? static_cast<Position>(k) : p;
      }
    }
    std::copy(position, position + size, out + chunk);
  }
}

template <bool greatest>
Step lower_arg(LowerContext& c) {
  const Split s = split_at(c.shape(0), c.attr_axis(c.shape(0).rank()));
  const bool last = c.attr_int("select_last_index") != 0;
  decltype(&extremes<float, greatest, false>) f = nullptr;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    f = last ? extremes<T, greatest, true> : extremes<T, greatest, false>;
  });
  Step step;
  step.run = [s, f](const RunContext& run) {
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, s.n));
    parallel_for(run.threads, s.outer * s.inner, grain, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t first = begin % s.inner, size = std::min(s.inner - first, end - begin);
        f(run.in<void>(0), s, begin / s.inner, first, first + size, run.out<std::int64_t>(0));
        begin += size;
      }
    });
  };
  step.algorithm = "compare";
  return step;
}

void infer_topk(InferContext& c) {
  expect_types(c, 0, kNumbers);
  if (c.shape(0).rank() == 0) c.fail("input must have at least one dimension, found a scalar");
  const int axis = c.attr_axis(c.shape(0).rank());
  const std::vector<std::int64_t> k = c.need_ints(1);
  if (k.size() != 1 || k[0] < 0 || k[0] > c.shape(0)[axis]) {
    c.fail("k must be one number from 0 to " + std::to_string(c.shape(0)[axis]) +
           ", the size of axis " + std::to_string(axis) + ", found " + Shape(k).str());
  }
  Shape out = c.shape(0);
  out[axis] = k[0];
  c.set_output(0, c.dtype(0), out);
  c.set_output(1, DType::kInt64, out);
}

// The k best positions of one group, best first. Of equal elements the lower position is better.
template <class T, bool largest>
void best_first(const T* x, std::int64_t n, std::int64_t stride, std::int64_t k,
                std::int64_t* positions) {
  if (k == 0) return;
  const auto beats = [](T u, T v) { return largest ? above(u, v) : below(u, v); };
  const auto better = [=](std::int64_t a, std::int64_t b) {
    const T u = x[a * stride], v = x[b * stride];
    return beats(u, v) || (a < b && !beats(v, u));
  };
  // A heap with the worst on top: most elements are refused by one comparison with it.
  std::iota(positions, positions + k, std::int64_t{0});
  std::make_heap(positions, positions + k, better);
  T worst = x[positions[0] * stride];
  for (std::int64_t i = k; i < n; ++i) {
    if (!beats(x[i * stride], worst)) continue;
    std::pop_heap(positions, positions + k, better);
    positions[k - 1] = i;
    std::push_heap(positions, positions + k, better);
    worst = x[positions[0] * stride];
  }
  std::sort_heap(positions, positions + k, better);
}

template <class T>
Step topk_step(const LowerContext& c) {
  const int axis = c.attr_axis(c.shape(0).rank());
  const Split s = split_at(c.shape(0), axis);
  const std::int64_t k = c.out_shape(0)[axis];
  const auto find = c.attr_int("largest") != 0 ? best_first<T, true> : best_first<T, false>;
  const int threads = c.threads();
  Step step;
  step.scratch_bytes =
      static_cast<std::size_t>(checked_multiply(k, threads)) * sizeof(std::int64_t);
  step.run = [=](const RunContext& run) {
    parallel_tasks(s.n * s.outer * s.inner < kGrain ? 1 : run.threads, s.outer * s.inner,
                   [&](std::int64_t group, int thread) {
                     std::int64_t* positions =
                         reinterpret_cast<std::int64_t*>(run.scratch) + thread * k;
                     const T* x = run.in<T>(0) + group / s.inner * s.n * s.inner + group % s.inner;
                     find(x, s.n, s.inner, k, positions);
                     const std::int64_t at = group / s.inner * k * s.inner + group % s.inner;
                     for (std::int64_t j = 0; j < k; ++j) {
                       if (run.has_out(0))
                         run.out<T>(0)[at + j * s.inner] = x[positions[j] * s.inner];
                       if (run.has_out(1))
                         run.out<std::int64_t>(1)[at + j * s.inner] = positions[j];
                     }
                   });
  };
  step.algorithm = "heap";
  return step;
}

Step lower_topk(LowerContext& c) {
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) { step = topk_step<T>(c); });
  return step;
}

constexpr AttrDef kArgAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "the dimension that is searched"},
    {.name = "keepdims",
     .type = AttrType::kInt,
     .doc = "1: it stays, with size 1",
     .int_default = 1},
    {.name = "select_last_index",
     .type = AttrType::kInt,
     .doc = "1: the last of equal elements, not the first"}};
constexpr AttrDef kTopKAttrs[] = {{.name = "axis",
                                   .type = AttrType::kInt,
                                   .doc = "the dimension that is sorted",
                                   .int_default = -1},
                                  {.name = "largest",
                                   .type = AttrType::kInt,
                                   .doc = "1: the greatest elements, 0: the least",
                                   .int_default = 1},
                                  {.name = "sorted",
                                   .type = AttrType::kInt,
                                   .doc = "0 allows any order; results are sorted anyway",
                                   .int_default = 1}};

constexpr OpDef kOps[] = {
    {.name = "ArgMax",
     .doc = "Position of the greatest element along an axis.",
     .attributes = kArgAttrs,
     .infer = infer_arg,
     .lower = lower_arg<true>},
    {.name = "ArgMin",
     .doc = "Position of the least element along an axis.",
     .attributes = kArgAttrs,
     .infer = infer_arg,
     .lower = lower_arg<false>},
    {.name = "TopK",
     .doc = "The k greatest or least elements along an axis, and their positions.",
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 2,
     .attributes = kTopKAttrs,
     .infer = infer_topk,
     .lower = lower_topk},
};

}  // namespace

extern const OpTable arg_ops;
const OpTable arg_ops = {kOps};

}  // namespace lanewise
