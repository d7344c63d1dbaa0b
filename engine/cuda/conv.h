// Convolutions through cuDNN, described once and enqueued often. Which are given to it is decided
// in engine/cuda/ops/conv.cc.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/conv/conv.h"
#include "engine/cuda/device.h"
#include "engine/cuda/kernels/conv_shape.cuh"
#include "engine/cuda/op.h"

namespace lanewise::cuda {

ConvShape conv_shape(const ConvProblem& problem);

class CudnnConvolution {
 public:
  // Null with the reason when cuDNN does not take the problem.
  static std::unique_ptr<CudnnConvolution> make(const CudaLowerContext& c,
                                                const ConvProblem& problem, std::string& reason);
  ~CudnnConvolution();
  CudnnConvolution(const CudnnConvolution&) = delete;
  CudnnConvolution& operator=(const CudnnConvolution&) = delete;

  std::string algorithm() const;
  std::size_t workspace() const { return chosen_.workspace; }
  // Whether one call can add bias and residual and apply ReLU or nothing.
  bool fuses(bool relu) const { return relu || chosen_.algorithm == kDnnPrecomputedGemm; }

  // y = conv(x, w); y = activation(conv(x, w) + z + bias). `z` may be null. Return cuDNN's status.
  int enqueue(const RunContext& run, const void* x, const void* w, void* y) const;
  int enqueue_fused(const RunContext& run, const void* x, const void* w, const void* z,
                    const void* bias, bool relu, void* y) const;

 private:
  explicit CudnnConvolution(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  void describe(const ConvProblem& problem, int type);
  bool choose(const CudaLowerContext& c, std::string& reason);
  void* described(int (*create)(void**), int (*destroy)(void*));

  std::shared_ptr<Device> device_;
  std::vector<std::pair<int (*)(void*), void*>> descriptors_;  // with what destroys each
  void *x_ = nullptr, *w_ = nullptr, *y_ = nullptr, *bias_ = nullptr, *convolution_ = nullptr,
       *relu_ = nullptr, *identity_ = nullptr;
  ConvolutionChoice chosen_{};
};

}  // namespace lanewise::cuda
