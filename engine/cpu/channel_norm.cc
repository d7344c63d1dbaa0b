// Statistics of groups of channels and their application.
#include "engine/cpu/channel_norm.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/cpu/moments.h"

namespace lanewise {
namespace {

template <class T>
class Runner {
 public:
  Runner(const LowerContext& c, ChannelNorm norm)
      : norm_(std::move(norm)),
        moments_(channel_moments<T>(c.isa(), c.shape(0), c.layout(0), norm_.across_images)),
        channels_(c.shape(0).rank() < 2 ? 1 : c.shape(0)[1]),
        scale_type_(norm_.scale < 0 ? DType::kFloat32 : c.dtype(norm_.scale)),
        bias_type_(norm_.bias < 0 ? DType::kFloat32 : c.dtype(norm_.bias)) {
    groups_ = norm_.across_images ? channels_ : moments_.entries() / norm_.channels;
  }

  // Doubles: sums and squares, the groups' mean and variance, those of parts; three T per entry.
  std::size_t scratch_bytes() const {
    const std::int64_t doubles =
        2 * moments_.entries() + 2 * groups_ + moments_.statistics_scratch();
    return static_cast<std::size_t>(checked_multiply(doubles + 3 * moments_.entries(), 8));
  }

  void operator()(const RunContext& run) const {
    const std::int64_t entries = moments_.entries();
    double* sums = reinterpret_cast<double*>(run.scratch);
    double* squares = sums + entries;
    double* mean = squares + entries;
    double* variance = mean + groups_;
    double* partial = variance + groups_;
    T* centre = reinterpret_cast<T*>(partial + moments_.statistics_scratch());
    T* scale = centre + entries;
    T* shift = scale + entries;
    const T* x = run.in<T>(0);

    moments_.statistics(run.threads, x, partial, sums, squares);
    mean_of_groups(sums, mean);
    const double rows = static_cast<double>(moments_.rows());
    for (std::int64_t e = 0; e < entries; ++e) {
      const double from_mean = sums[e] / rows - mean[group(e)];
      squares[e] += rows * from_mean * from_mean;
      centre[e] = static_cast<T>(mean[group(e)]);
    }
    mean_of_groups(squares, variance);
    if (norm_.finish) norm_.finish(run, mean, variance);
    for (std::int64_t e = 0; e < entries; ++e) {
      const double v = variance[group(e)];
      const double deviation =
          norm_.epsilon_on_deviation ? std::sqrt(v) + norm_.epsilon : std::sqrt(v + norm_.epsilon);
      const std::int64_t channel = e % channels_;
      const double s =
          norm_.scale < 0 ? 1.0 : value_at(run.in<void>(norm_.scale), scale_type_, channel);
      scale[e] = static_cast<T>(s / deviation);
      shift[e] = norm_.bias < 0
                     ? T{0}
                     : static_cast<T>(value_at(run.in<void>(norm_.bias), bias_type_, channel));
    }
    moments_.scale_shift(run.threads, x, centre, scale, shift, run.out<T>(0), norm_.activation);
  }

 private:
  // Entries are [image][channel], or [channel] where images are merged.
  std::int64_t group(std::int64_t entry) const {
    return norm_.across_images ? entry % channels_ : entry / norm_.channels;
  }

  void mean_of_groups(const double* sums, double* result) const {
    std::fill(result, result + groups_, 0.0);
    for (std::int64_t e = 0; e < moments_.entries(); ++e) result[group(e)] += sums[e];
    const std::int64_t members = norm_.across_images
                                     ? moments_.entries() / std::max<std::int64_t>(channels_, 1)
                                     : norm_.channels;
    const double count = static_cast<double>(members * moments_.rows());
    for (std::int64_t g = 0; g < groups_; ++g) result[g] /= count;
  }

  ChannelNorm norm_;
  Moments<T> moments_;
  std::int64_t channels_, groups_ = 0;
  DType scale_type_, bias_type_;
};

template <class T>
Step make_step(const LowerContext& c, ChannelNorm norm) {
  const Runner<T> runner(c, std::move(norm));
  Step step;
  step.algorithm =
      c.layout(0) == Layout::kChannelsLast ? "two passes, columns" : "two passes, rows";
  step.scratch_bytes = runner.scratch_bytes();
  step.run = runner;
  return step;
}

}  // namespace

Step channel_norm_step(const LowerContext& c, ChannelNorm norm) {
  return c.dtype(0) == DType::kFloat64 ? make_step<double>(c, std::move(norm))
                                       : make_step<float>(c, std::move(norm));
}

void expect_channel_values(const OpContext& c, int i, std::int64_t channels) {
  c.expect_dtype(i, {DType::kFloat32, DType::kFloat64});
  if (c.shape(i) == Shape{channels}) return;
  c.fail("input " + std::to_string(i) + " has shape " + c.shape(i).str() + ", expected " +
         Shape{channels}.str() + ": one value for each channel of input 0 of shape " +
         c.shape(0).str());
}

}  // namespace lanewise
