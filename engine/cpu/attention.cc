// Blocks of rows: scores, cap, mask, softmax, weighted sum. Every sum runs in an order that neither
// the block nor the threads decide.
#include "engine/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/base/shape.h"

namespace lanewise {
namespace {

// A thread woken for less work than this costs more than it saves.
constexpr double kTaskFlops = 1e6;

template <class T>
T rounded_to(DType precision, T x) {
  switch (precision) {
    case DType::kFloat16: return static_cast<T>(static_cast<float>(Float16(static_cast<float>(x))));
    case DType::kBFloat16:
      return static_cast<T>(static_cast<float>(BFloat16(static_cast<float>(x))));
    case DType::kFloat32: return static_cast<T>(static_cast<float>(x));
    default: return x;
  }
}

template <class T>
void exact_softmax(T* row, std::int64_t n) {
  const double most = *std::max_element(row, row + n);
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(row[i]) - most);
  for (std::int64_t i = 0; i < n; ++i)
    row[i] = static_cast<T>(std::exp(static_cast<double>(row[i]) - most) / sum);
}

}  // namespace

template <class T>
void softmax_row(T* row, std::int64_t n, DType precision, const kernels::Softmax& softmax) {
  const bool rounds = precision != DType::kUndefined && precision != kDTypeOf<T>;
  if (rounds) {
    for (std::int64_t i = 0; i < n; ++i) row[i] = rounded_to(precision, row[i]);
  }
  if constexpr (std::is_same_v<T, float>) {
    if (precision == DType::kFloat64) {
      exact_softmax(row, n);
    } else {
      softmax.softmax(row, row, 1, n, 1);
    }
  } else {
    exact_softmax(row, n);
  }
  if (rounds) {
    for (std::int64_t i = 0; i < n; ++i) row[i] = rounded_to(precision, row[i]);
  }
}

template <class T>
Attention<T>::Attention(const AttentionProblem& problem, Isa isa, int threads)
    : p_(problem),
      products_(problem.shapes, isa),
      softmax_(&kernels::softmax(isa)),
      loops_(&kernels::row_loops(isa)),
      tanh_(kernels::eltwise_unary(isa).run[static_cast<int>(kernels::Unary::kTanh)]),
      add_(kernels::eltwise_binary(isa).run[static_cast<int>(kernels::Binary::kAdd)]),
      multiply_(kernels::eltwise_binary(isa).run[static_cast<int>(kernels::Binary::kMul)]) {
  threads_ = threads_worth(problem.shapes.flops(), kTaskFlops, threads);
  block_rows_ = products_.block_rows(threads_);
  ld_ = round_up(problem.shapes.keys + (problem.sinks ? 1 : 0), 16);
}

template <class T>
std::int64_t Attention<T>::scratch_elements() const {
  return products_.packed_elements() + threads_ * checked_multiply(block_rows_, ld_);
}

template <class T>
void Attention<T>::run(const AttentionArrays<T>& arrays, T* scratch, int threads) const {
  const HeadShapes& s = p_.shapes;
  threads = std::min(threads, threads_);
  products_.pack(arrays.k, arrays.v, scratch, threads);
  T* const blocks = scratch + products_.packed_elements();
  const std::int64_t in_pair = (s.group_rows() + block_rows_ - 1) / block_rows_;
  parallel_tasks(threads, s.pairs() * in_pair, [&](std::int64_t task, int thread) {
    // The last rows of a causal head see the most keys: they go first.
    const std::int64_t first = (in_pair - 1 - task % in_pair) * block_rows_;
    const std::int64_t count = std::min(block_rows_, s.group_rows() - first);
    run_rows(arrays, {task / in_pair, first, count, s.keys}, scratch,
             blocks + thread * block_rows_ * ld_);
  });
}

template <class T>
typename Attention<T>::Keys Attention<T>::visible(const AttentionArrays<T>& arrays,
                                                  std::int64_t batch, std::int64_t query) const {
  const std::int64_t keys = p_.shapes.keys;
  Keys result{0, keys};
  std::int64_t position = p_.offset + query;
  if (p_.has_lengths) {
    position = arrays.lengths[batch] - p_.shapes.queries + query;
    result.end = arrays.lengths[batch];
  }
  if (p_.has_positions) position = arrays.positions[batch] + query;
  if (p_.mask != AttentionProblem::Mask::kNone) result.end = std::min(result.end, p_.mask_keys);
  // A bound past every key is none, so that nothing overflows.
  if (p_.left >= 0 && p_.left < keys + p_.shapes.queries)
    result.begin = std::max(result.begin, position - p_.left);
  if (p_.right >= 0 && p_.right < keys + p_.shapes.queries)
    result.end = std::min(result.end, position + p_.right + 1);
  result.begin = std::min(result.begin, keys);
  result.end = std::max(result.end, result.begin);
  return result;
}

template <class T>
void Attention<T>::run_rows(const AttentionArrays<T>& arrays, RowBlock block, const T* packed,
                            T* s) const {
  const HeadShapes& shapes = p_.shapes;
  const std::int64_t batch = block.pair / shapes.kv_heads;
  const auto each_row = [&](auto f) {
    for (std::int64_t r = 0; r < block.count; ++r) {
      const std::int64_t at = block.first + r;
      f(r, block.pair % shapes.kv_heads * shapes.group() + at / shapes.queries,
        at % shapes.queries);
    }
  };
  if (p_.show == ScoreOutput::kNone) {  // no key past the last visible one matters
    block.keys = 0;
    each_row([&](std::int64_t, std::int64_t, std::int64_t query) {
      block.keys = std::max(block.keys, visible(arrays, batch, query).end);
    });
  }
  products_.scores(block, arrays.q, arrays.k, packed, s, ld_);
  each_row([&](std::int64_t r, std::int64_t head, std::int64_t query) {
    weights(arrays, batch, head, query, visible(arrays, batch, query), block.keys, s + r * ld_);
  });
  products_.weigh(block, s, ld_, arrays.v, packed, arrays.y);
}

template <class T>
void Attention<T>::cap(T* row, std::int64_t n) const {
  const auto softcap = static_cast<T>(p_.softcap);
  if constexpr (std::is_same_v<T, float>) {
    const float inverse = 1.0f / softcap;
    kernels::BinaryBlock scaled{row, &inverse, row, 1, n};
    scaled.b_col = 0;
    multiply_(scaled);
    tanh_(row, row, n, 0.0f, 0.0f);
    scaled.b = &softcap;
    multiply_(scaled);
  } else {
    for (std::int64_t j = 0; j < n; ++j) row[j] = softcap * std::tanh(row[j] / softcap);
  }
}

// False when the mask leaves no key. Row `at` of the mask, in elements.
template <class T>
bool Attention<T>::add_mask(const void* mask, std::int64_t at, Keys keys, T* row) const {
  constexpr T kOut = -std::numeric_limits<T>::infinity();
  const std::int64_t n = keys.end - keys.begin;
  row += keys.begin;
  if (p_.mask == AttentionProblem::Mask::kBool) {
    const bool* const m = static_cast<const bool*>(mask) + at + keys.begin;
    if constexpr (std::is_same_v<T, float>) {
      loops_->hide(row, m, n);
    } else {
      for (std::int64_t j = 0; j < n; ++j) row[j] = m[j] ? row[j] : kOut;
    }
    return std::find(m, m + n, true) != m + n;
  }
  const T* const m = static_cast<const T*>(mask) + at + keys.begin;
  if constexpr (std::is_same_v<T, float>) {
    add_({row, m, row, 1, n});
  } else {
    for (std::int64_t j = 0; j < n; ++j) row[j] += m[j];
  }
  return std::find_if(m, m + n, [](T x) { return x != kOut; }) != m + n;
}

// Turns a row of scores, `width` of them, into weights.
template <class T>
void Attention<T>::weights(const AttentionArrays<T>& arrays, std::int64_t batch, std::int64_t head,
                           std::int64_t query, Keys keys, std::int64_t width, T* row) const {
  constexpr T kOut = -std::numeric_limits<T>::infinity();
  const HeadShapes& s = p_.shapes;
  const auto show = [&](ScoreOutput stage) {
    if (p_.show != stage) return;
    std::copy(row, row + width,
              arrays.shown + ((batch * s.q_heads + head) * s.queries + query) * s.keys);
  };
  show(ScoreOutput::kProducts);
  if (p_.softcap != 0.0) cap(row, width);
  show(ScoreOutput::kCapped);
  bool any = keys.begin < keys.end;
  if (any && p_.mask != AttentionProblem::Mask::kNone) {
    const auto& strides = p_.mask_strides;
    any = add_mask(arrays.mask, batch * strides[0] + head * strides[1] + query * strides[2], keys,
                   row);
  }
  if (p_.show == ScoreOutput::kMasked) {
    std::fill(row, row + keys.begin, kOut);
    std::fill(row + keys.end, row + width, kOut);
    show(ScoreOutput::kMasked);
  }
  const T* const live = std::find_if(row + keys.begin, row + keys.end,
                                     [](T x) { return x != -std::numeric_limits<T>::infinity(); });
  if (!any || live == row + keys.end) {
    std::fill(row, row + width, T(0));
  } else {
    std::fill(row, row + keys.begin, T(0));
    std::fill(row + keys.end, row + width, T(0));
    if (p_.sinks) row[keys.end] = arrays.sinks == nullptr ? T(0) : arrays.sinks[head];
    softmax_row(row + keys.begin, keys.end - keys.begin + (p_.sinks ? 1 : 0), p_.precision,
                *softmax_);
    if (p_.sinks) row[keys.end] = T(0);
  }
  show(ScoreOutput::kWeights);
}

template class Attention<float>;
template class Attention<double>;
template void softmax_row(float*, std::int64_t, DType, const kernels::Softmax&);
template void softmax_row(double*, std::int64_t, DType, const kernels::Softmax&);

}  // namespace lanewise
