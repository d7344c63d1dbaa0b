// One token of linear attention: with and without decay and the delta rule, on part of a state.
#include <vector>

#include "engine/kernels/attention/attention.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

// What one column of the state becomes, as values and as sums of sizes, and its result for q.
struct Column {
  std::vector<Sum> state;

  Column(const kernels::LinearToken& t, const float* old, std::int64_t j) {
    Sum seen;
    for (std::int64_t d = 0; d < t.keys; ++d) {
      const double factor = t.decay == nullptr ? 1.0 : double{t.decay[d * t.decay_step]};
      state.emplace_back();
      state.back().add(factor * double{old[d * t.stride + j]});
      seen.value += state.back().value * double{t.k[d]};
      seen.size += state.back().size * std::fabs(double{t.k[d]});
    }
    double update = double{t.v[j]}, size = std::fabs(update);
    if (t.beta != nullptr) {
      update = (update - seen.value) * double{*t.beta};
      size = (size + seen.size) * std::fabs(double{*t.beta});
    }
    for (std::int64_t d = 0; d < t.keys; ++d) {
      Sum& s = state[static_cast<std::size_t>(d)];
      s.value += update * double{t.k[d]};
      s.size += size * std::fabs(double{t.k[d]});
    }
  }

  Sum read(const float* q, double scale) const {
    Sum sum;
    for (std::size_t d = 0; d < state.size(); ++d) {
      sum.value += scale * double{q[d]} * state[d].value;
      sum.size += std::fabs(scale * double{q[d]}) * state[d].size;
    }
    return sum;
  }
};

}  // namespace

void test_linear_attention(Case& c) {
  kernels::LinearToken t;
  t.keys = c.size(4, 3);
  t.columns = c.size(16, 5);
  t.stride = t.columns + c.pick(0, 3);
  t.queries = c.pick(1, 3);
  t.q_stride = t.keys + c.pick(0, 2);
  t.out_stride = t.columns + c.pick(0, 2);
  t.decay_step = c.pick(0, 1);
  t.scale = 0.5f;
  const bool decays = c.flip(), corrects = c.flip();
  c.describe("%ld keys, %ld columns, %ld queries, decay %d, delta rule %d",
             static_cast<long>(t.keys), static_cast<long>(t.columns), static_cast<long>(t.queries),
             decays ? 1 : 0, corrects ? 1 : 0);
  const std::int64_t size = (t.keys - 1) * t.stride + t.columns;
  const float* old = c.floats(size);
  t.k = c.floats(t.keys);
  t.v = c.floats(t.columns);
  t.q = c.floats((t.queries - 1) * t.q_stride + t.keys);
  if (decays) t.decay = c.floats((t.keys - 1) * t.decay_step + 1);
  if (corrects) t.beta = c.floats(1);
  t.state = c.room<float>(size);
  for (std::int64_t d = 0; d < t.keys; ++d) {
    for (std::int64_t j = 0; j < t.columns; ++j) t.state[d * t.stride + j] = old[d * t.stride + j];
  }
  const std::int64_t results = (t.queries - 1) * t.out_stride + t.columns;
  t.out = c.room<float>(results);
  kernels::linear_attention(c.isa()).token(t);
  const double roundings = 2.0 * static_cast<double>(t.keys) + 8.0;
  for (std::int64_t j = 0; j < t.columns; ++j) {
    const Column want(t, old, j);
    for (std::int64_t d = 0; d < t.keys; ++d) {
      const Sum& s = want.state[static_cast<std::size_t>(d)];
      c.expect(t.state[d * t.stride + j], s.value, gamma(roundings) * s.size, "state",
               d * t.stride + j);
    }
    for (std::int64_t h = 0; h < t.queries; ++h) {
      const Sum sum = want.read(t.q + h * t.q_stride, double{t.scale});
      c.expect(t.out[h * t.out_stride + j], sum.value,
               gamma(roundings + static_cast<double>(t.keys)) * sum.size, "output",
               h * t.out_stride + j);
    }
  }
  for (std::int64_t i = 0; i < size; ++i) {
    if (i % t.stride >= t.columns) c.expect_untouched(t.state[i], "between rows of the state", i);
  }
  for (std::int64_t i = 0; i < results; ++i) {
    if (i % t.out_stride >= t.columns) c.expect_untouched(t.out[i], "between results", i);
  }
}

}  // namespace lanewise::testing
