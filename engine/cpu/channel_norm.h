// Normalisation by the mean and variance of groups of channels: what instance, group and training
// batch normalisation, and mean-variance normalisation over such axes, have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/graph/context.h"
#include "engine/kernels/epilogue.h"

namespace lanewise {

struct ChannelNorm {
  // Channels that share one mean and variance: `channels` neighbours of one image, or one channel
  // of all images.
  std::int64_t channels = 1;
  bool across_images = false;
  double epsilon = 0.0;
  bool epsilon_on_deviation = false;  // added to the standard deviation instead of the variance
  int scale = -1, bias = -1;          // inputs with one value per channel, or -1
  kernels::ActivationCall activation = {};
  // Called with the groups' means and variances (population variance), in order, when both are
  // known.
  std::function<void(const RunContext&, const double* mean, const double* variance)> finish;
};

// y = activation((x - mean) / sqrt(variance + epsilon) * scale + bias), for float32 or float64
// input 0 in either layout. The squares are summed about the mean of a part of the rows, while
// that part is near, and the parts joined (Chan, Golub & LeVeque 1983).
Step channel_norm_step(const LowerContext& c, ChannelNorm norm);

// Fails unless input i has one float32 or float64 value for each channel.
void expect_channel_values(const OpContext& c, int i, std::int64_t channels);

// Value i of a float32 or float64 array.
inline double value_at(const void* data, DType dtype, std::int64_t i) {
  return dtype == DType::kFloat64 ? static_cast<const double*>(data)[i]
                                  : static_cast<double>(static_cast<const float*>(data)[i]);
}

}  // namespace lanewise
