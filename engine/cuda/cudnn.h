// Convolutions by cuDNN: the functions and numbers that this backend uses, declared here so that
// building needs no CUDA. Names and numbers are NVIDIA's.
#pragma once

#include <cstddef>

#include "engine/cuda/library.h"

namespace lanewise::cuda {

// cudnnDataType_t, cudnnTensorFormat_t, cudnnMathType_t.
inline constexpr int kDnnFloat32 = 0, kDnnFloat16 = 2, kDnnBFloat16 = 9;
inline constexpr int kDnnChannelsFirst = 0, kDnnChannelsLast = 1;
inline constexpr int kDnnTensorMath = 1, kDnnFmaMath = 3;
inline constexpr int kDnnCrossCorrelation = 1;
inline constexpr int kDnnRelu = 1, kDnnIdentity = 5, kDnnPropagateNan = 1;
inline constexpr int kDnnPrecomputedGemm = 1, kDnnWinograd = 6;  // cudnnConvolutionFwdAlgo_t

// cudnnConvolutionFwdAlgoPerf_t.
struct ConvolutionChoice {
  int algorithm, status;
  float milliseconds;
  std::size_t workspace;
  int determinism, math;
  int reserved[3];
};

struct Cudnn {
  explicit Cudnn(const Library& library);

  int (*create)(void** handle);
  int (*destroy)(void* handle);
  int (*set_stream)(void* handle, void* stream);
  int (*tensor_create)(void** tensor);
  int (*tensor_destroy)(void* tensor);
  int (*tensor_set)(void* tensor, int format, int type, int rank, const int* dims);
  int (*filter_create)(void** filter);
  int (*filter_destroy)(void* filter);
  int (*filter_set)(void* filter, int type, int format, int rank, const int* dims);
  int (*convolution_create)(void** convolution);
  int (*convolution_destroy)(void* convolution);
  int (*convolution_set)(void* convolution, int rank, const int* pads, const int* strides,
                         const int* dilations, int mode, int compute_type);
  int (*convolution_groups)(void* convolution, int groups);
  int (*convolution_math)(void* convolution, int math);
  int (*activation_create)(void** activation);
  int (*activation_destroy)(void* activation);
  int (*activation_set)(void* activation, int mode, int nan, double coefficient);
  int (*choose)(void* handle, void* x, void* w, void* convolution, void* y, int wanted, int* found,
                ConvolutionChoice* choices);
  int (*forward)(void* handle, const void* alpha, void* x_desc, const void* x, void* w_desc,
                 const void* w, void* convolution, int algorithm, void* workspace,
                 std::size_t workspace_bytes, const void* beta, void* y_desc, void* y);
  int (*forward_fused)(void* handle, const void* alpha1, void* x_desc, const void* x, void* w_desc,
                       const void* w, void* convolution, int algorithm, void* workspace,
                       std::size_t workspace_bytes, const void* alpha2, void* z_desc, const void* z,
                       void* bias_desc, const void* bias, void* activation, void* y_desc, void* y);

  // Throws DeviceError naming what was done.
  void check(int result, const char* doing) const;
};

LibraryWanted cudnn_wanted();

}  // namespace lanewise::cuda
