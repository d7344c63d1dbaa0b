// SVMClassifier of ai.onnx.ml: one machine for each pair of classes, as libsvm keeps them, or one
// linear function for each class.
#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/ops/ml_svm.h"

namespace lanewise {
namespace {

// Probabilities of k classes from those of each pair, by the second method of Wu, Lin and Weng,
// "Probability estimates for multi-class classification by pairwise coupling" (2004).
std::vector<float> coupled(const std::vector<double>& pairs, std::size_t k) {
  std::vector<double> q(k * k), qp(k), p(k, 1.0 / static_cast<double>(k));
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = 0; j < k; ++j) {
      if (j == i) continue;
      q[i * k + i] += pairs[j * k + i] * pairs[j * k + i];
      q[i * k + j] = -pairs[j * k + i] * pairs[i * k + j];
    }
  }
  const double tolerance = 0.005 / static_cast<double>(k);
  for (std::size_t round = 0; round < std::max<std::size_t>(100, k); ++round) {
    double pqp = 0, error = 0;
    for (std::size_t i = 0; i < k; ++i) {
      qp[i] = 0;
      for (std::size_t j = 0; j < k; ++j) qp[i] += q[i * k + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (std::size_t i = 0; i < k; ++i) error = std::max(error, std::abs(qp[i] - pqp));
    if (error < tolerance) break;
    for (std::size_t i = 0; i < k; ++i) {
      const double step = (pqp - qp[i]) / q[i * k + i];
      p[i] += step;
      pqp = (pqp + step * (step * q[i * k + i] + 2 * qp[i])) / (1 + step) / (1 + step);
      for (std::size_t j = 0; j < k; ++j) {
        qp[j] = (qp[j] + step * q[i * k + j]) / (1 + step);
        p[j] /= 1 + step;
      }
    }
  }
  return {p.begin(), p.end()};
}

class Classifier {
 public:
  explicit Classifier(const OpContext& c)
      : rows_(ml::expect_rows(c)),
        dtype_(c.dtype(0)),
        transform_(ml::transform_of(c)),
        labels_(ml::labels_of(c, "classlabels_ints", "classlabels_strings")),
        per_class_(c.attr_ints("vectors_per_class")),
        coefficients_(c.attr_floats("coefficients")),
        rho_(c.attr_floats("rho")),
        prob_a_(c.attr_floats("prob_a")),
        prob_b_(c.attr_floats("prob_b")),
        vectors_(c, vector_count(c)) {
    const auto classes = static_cast<std::int64_t>(labels_.size());
    if (vectors_.count() > 0) {
      ml::expect_length(c, "vectors_per_class", per_class_.size(), classes);
      ml::expect_length(c, "coefficients", coefficients_.size(),
                        checked_multiply(classes - 1, vectors_.count()));
      ml::expect_length(c, "rho", rho_.size(), classes * (classes - 1) / 2);
      if (!prob_a_.empty()) ml::expect_length(c, "prob_a", prob_a_.size(), pair_count());
      ml::expect_length(c, "prob_b", prob_b_.size(), static_cast<std::int64_t>(prob_a_.size()));
    } else {
      ml::expect_length(c, "coefficients", coefficients_.size(),
                        checked_multiply(classes, rows_.columns));
      if (rho_.empty()) c.fail("attribute 'rho' has no entry");
      prob_a_.clear();
    }
  }

  const ml::Labels& labels() const { return labels_; }
  std::int64_t rows() const { return rows_.rows; }
  // Scores of a row in the output.
  std::int64_t score_count() const {
    const auto classes = static_cast<std::int64_t>(labels_.size());
    if (vectors_.count() == 0 || !prob_a_.empty()) return classes;
    return classes == 2 ? 2 : pair_count();
  }

  void run(const RunContext& run) const {
    const std::int64_t width = score_count();
    ml::for_rows(run, dtype_, rows_, [&](std::int64_t row, const double* x) {
      std::vector<int> votes;
      std::vector<float> scores = vectors_.count() > 0 ? machines(x, votes) : linear(x);
      if (!prob_a_.empty()) scores = probabilities(scores);
      labels_.put(run, row, winner(scores, votes));
      if (!run.has_out(1)) return;
      ml::write_scores(scores, transform_, ml::Second::kNegative,
                       {run.out<float>(1) + row * width, static_cast<std::size_t>(width)});
    });
  }

 private:
  static std::int64_t vector_count(const OpContext& c) {
    std::int64_t count = 0;
    for (std::int64_t each : c.attr_ints("vectors_per_class")) {
      if (each < 0 || each > std::int64_t{1} << 40) {
        c.fail("attribute 'vectors_per_class' has " + std::to_string(each));
      }
      count += each;
    }
    return count;
  }

  std::int64_t pair_count() const { return static_cast<std::int64_t>(rho_.size()); }

  std::vector<float> linear(const double* x) const {
    std::vector<float> scores;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      const float* weights = coefficients_.data() + static_cast<std::int64_t>(i) * rows_.columns;
      scores.push_back(static_cast<float>(rho_[0] + vectors_.kernel(x, weights)));
    }
    return scores;
  }

  // The decision of each pair's machine, and how many each class wins.
  std::vector<float> machines(const double* x, std::vector<int>& votes) const {
    const std::int64_t count = vectors_.count();
    std::vector<double> kernels(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      kernels[static_cast<std::size_t>(i)] = vectors_.at(x, i);
    const auto weighted = [&](std::size_t row, std::int64_t begin, std::int64_t n) {
      double sum = 0;
      const float* w = coefficients_.data() + static_cast<std::int64_t>(row) * count;
      for (std::int64_t i = begin; i < begin + n; ++i) {
        sum += w[i] * kernels[static_cast<std::size_t>(i)];
      }
      return sum;
    };
    votes.assign(labels_.size(), 0);
    std::vector<float> scores;
    std::int64_t first = 0;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      std::int64_t second = first + per_class_[i];
      for (std::size_t j = i + 1; j < labels_.size(); ++j) {
        const double score = rho_[scores.size()] + weighted(j - 1, first, per_class_[i]) +
                             weighted(i, second, per_class_[j]);
        scores.push_back(static_cast<float>(score));
        ++votes[score > 0 ? i : j];
        second += per_class_[j];
      }
      first += per_class_[i];
    }
    return scores;
  }

  std::vector<float> probabilities(const std::vector<float>& scores) const {
    const std::size_t k = labels_.size();
    std::vector<double> pairs(k * k);
    std::size_t at = 0;
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = i + 1; j < k; ++j, ++at) {
        const double p = 1 - ml::logistic(scores[at] * prob_a_[at] + prob_b_[at]);
        pairs[i * k + j] = std::clamp(p, 1e-7, 1 - 1e-7);
        pairs[j * k + i] = 1 - pairs[i * k + j];
      }
    }
    return coupled(pairs, k);
  }

  std::size_t winner(const std::vector<float>& scores, const std::vector<int>& votes) const {
    if (votes.empty()) {
      return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) -
                                      scores.begin());
    }
    return static_cast<std::size_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
  }

  ml::Rows rows_;
  DType dtype_;
  ml::Transform transform_;
  ml::Labels labels_;
  std::vector<std::int64_t> per_class_;
  std::vector<float> coefficients_, rho_, prob_a_, prob_b_;
  ml::SupportVectors vectors_;
};

void infer_classifier(InferContext& c) {
  const Classifier classifier(c);
  c.set_output(0, classifier.labels().dtype(), {classifier.rows()});
  c.set_output(1, DType::kFloat32, {classifier.rows(), classifier.score_count()});
}

Step lower_classifier(LowerContext& c) { return step_of<Classifier>(c, "support vectors"); }

constexpr AttrDef kAttrs[] = {
    ml::kKernelType,
    ml::kKernelParams,
    ml::kSupportVectors,
    ml::kCoefficients,
    ml::kRho,
    ml::kPostTransform,
    {.name = "vectors_per_class",
     .type = AttrType::kInts,
     .doc = "number of vectors of each class; none: linear"},
    {.name = "prob_a", .type = AttrType::kFloats, .doc = "slopes of the pairs' probabilities"},
    {.name = "prob_b", .type = AttrType::kFloats, .doc = "their offsets"},
    {.name = "classlabels_ints", .type = AttrType::kInts, .doc = "labels, or"},
    {.name = "classlabels_strings", .type = AttrType::kStrings, .doc = "labels as texts"},
};

constexpr OpDef kOps[] = {
    {.domain = ml::kDomain,
     .name = "SVMClassifier",
     .doc = "The class that support vectors decide for (Cortes and Vapnik 1995), and the scores.",
     .max_outputs = 2,
     .attributes = kAttrs,
     .infer = infer_classifier,
     .lower = lower_classifier},
};

}  // namespace

extern const OpTable ml_svm_classifier_ops;
const OpTable ml_svm_classifier_ops = {kOps};

}  // namespace lanewise
