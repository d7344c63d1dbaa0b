// The numbers of a convolution, as conv.cu and the host code that launches it know them. No CUDA,
// no standard headers.
#pragma once

namespace lanewise::cuda {

// Spatial sizes are depth, height, width; the activation is by the numbers of
// engine/kernels/epilogue.h.
struct ConvShape {
  int batch, channels, outputs, group;
  int in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
  int function;
  float alpha, beta;
};

}  // namespace lanewise::cuda
