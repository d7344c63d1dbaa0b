// See ml.h. No operator is here.
#include "engine/ops/ml.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>

#include "engine/base/parallel.h"

namespace lanewise::ml {
namespace {

// Winitzki's approximation of the inverse error function ("A handy approximation for the error
// function and its inverse", 2008), which ONNX's own implementations of PROBIT use.
float inverse_erf(float x) {
  const float sign = x < 0 ? -1.0f : 1.0f;
  const float rest = (1 - x) * (1 + x);
  if (rest == 0) return 0;
  const float log = std::log(rest);
  const float v = 2 / (3.14159f * 0.147f) + 0.5f * log;
  return sign * std::sqrt(-v + std::sqrt(v * v - log / 0.147f));
}

void softmax(std::span<float> scores, bool keep_zeros) {
  if (scores.empty()) return;
  const float most = *std::max_element(scores.begin(), scores.end());
  float sum = 0;
  for (float& score : scores) {
    // Scores of zero stay near zero in SOFTMAX_ZERO.
    const bool zero = keep_zeros && std::abs(score) <= 1e-7f;
    score = zero ? score * std::exp(-most) : std::exp(score - most);
    sum += score;
  }
  for (float& score : scores) score = sum == 0 ? 0.5f : score / sum;
}

}  // namespace

Rows expect_rows(const OpContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64});
  c.expect_rank(0, 1, 2);
  const Shape& shape = c.shape(0);
  return shape.rank() == 1 ? Rows{1, shape[0]} : Rows{shape[0], shape[1]};
}

std::int64_t targets_of(const OpContext& c) {
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  const std::int64_t targets = c.attr_int("n_targets");
  if (targets < 1 || targets > kMost) {
    c.fail("attribute 'n_targets' is " + std::to_string(targets) + ", expected 1 to " +
           std::to_string(kMost));
  }
  return targets;
}

void expect_length(const OpContext& c, std::string_view name, std::size_t length,
                   std::int64_t wanted) {
  if (static_cast<std::int64_t>(length) == wanted) return;
  c.fail("attribute '" + std::string(name) + "' has " + std::to_string(length) +
         " entries, expected " + std::to_string(wanted));
}

void read_row(const void* x, DType dtype, std::int64_t row, std::int64_t columns, double* out) {
  visit_number(dtype, [&]<class T>(std::type_identity<T>) {
    const T* values = static_cast<const T*>(x) + row * columns;
    for (std::int64_t i = 0; i < columns; ++i) out[i] = static_cast<double>(values[i]);
  });
}

void for_rows(const RunContext& run, DType dtype, const Rows& rows, const RowFunction& f) {
  constexpr std::int64_t kGrain = 16;
  const void* x = run.in<void>(0);
  std::mutex mutex;
  std::exception_ptr error;  // a task must not throw, and memory may run out
  parallel_for(run.threads, rows.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    try {
      std::vector<double> row(static_cast<std::size_t>(rows.columns));
      for (std::int64_t i = begin; i < end; ++i) {
        read_row(x, dtype, i, rows.columns, row.data());
        f(i, row.data());
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  });
  if (error) std::rethrow_exception(error);
}

Transform transform_of(const OpContext& c) {
  const std::string_view name = c.attr_string("post_transform");
  if (name == "NONE") return Transform::kNone;
  if (name == "SOFTMAX") return Transform::kSoftmax;
  if (name == "LOGISTIC") return Transform::kLogistic;
  if (name == "SOFTMAX_ZERO") return Transform::kSoftmaxZero;
  if (name == "PROBIT") return Transform::kProbit;
  c.fail("attribute 'post_transform' is '" + std::string(name) +
         "', expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
}

float logistic(float x) {
  const float v = 1 / (1 + std::exp(-std::abs(x)));
  return x < 0 ? 1 - v : v;
}

void transform_scores(Transform transform, std::span<float> scores) {
  switch (transform) {
    case Transform::kNone: return;
    case Transform::kSoftmax: return softmax(scores, false);
    case Transform::kSoftmaxZero: return softmax(scores, true);
    case Transform::kLogistic:
      for (float& score : scores) score = logistic(score);
      return;
    case Transform::kProbit:
      for (float& score : scores) score = 1.41421356f * inverse_erf(2 * score - 1);
      return;
  }
}

void write_scores(std::vector<float>& scores, Transform transform, Second second,
                  std::span<float> out) {
  if (scores.size() == 1 && out.size() == 2) {
    const bool probability = transform == Transform::kProbit ||
                             (transform == Transform::kNone && second == Second::kComplement);
    const float score = scores[0];
    scores = {probability ? 1 - score : -score, score};
  }
  transform_scores(transform, scores);
  std::copy_n(scores.begin(), std::min(scores.size(), out.size()), out.begin());
}

void Labels::put(const RunContext& run, std::int64_t row, std::size_t index) const {
  if (!run.has_out(0)) return;
  if (strings.empty()) {
    run.out<std::int64_t>(0)[row] = ints[index];
  } else {
    run.out<std::string>(0)[row] = strings[index];
  }
}

Labels labels_of(const OpContext& c, std::string_view ints, std::string_view strings) {
  Labels labels{c.attr_ints(ints), c.attr_strings(strings)};
  if (labels.ints.empty() == labels.strings.empty()) {
    c.fail("exactly one of the attributes '" + std::string(ints) + "' and '" +
           std::string(strings) + "' must have entries, found " +
           (labels.ints.empty() ? "none" : "both"));
  }
  return labels;
}

}  // namespace lanewise::ml
