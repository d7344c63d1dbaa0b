// Binding cuDNN.
#include "engine/cuda/cudnn.h"

#include "engine/base/error.h"

namespace lanewise::cuda {

LibraryWanted cudnn_wanted() {
  return {"cuDNN", {"libcudnn.so.9"}, "pip install 'lanewise[cuda]', or install cuDNN 9"};
}

Cudnn::Cudnn(const Library& library) {
  library.bind("cudnnCreate", create);
  library.bind("cudnnDestroy", destroy);
  library.bind("cudnnSetStream", set_stream);
  library.bind("cudnnCreateTensorDescriptor", tensor_create);
  library.bind("cudnnDestroyTensorDescriptor", tensor_destroy);
  library.bind("cudnnSetTensorNdDescriptorEx", tensor_set);
  library.bind("cudnnCreateFilterDescriptor", filter_create);
  library.bind("cudnnDestroyFilterDescriptor", filter_destroy);
  library.bind("cudnnSetFilterNdDescriptor", filter_set);
  library.bind("cudnnCreateConvolutionDescriptor", convolution_create);
  library.bind("cudnnDestroyConvolutionDescriptor", convolution_destroy);
  library.bind("cudnnSetConvolutionNdDescriptor", convolution_set);
  library.bind("cudnnSetConvolutionGroupCount", convolution_groups);
  library.bind("cudnnSetConvolutionMathType", convolution_math);
  library.bind("cudnnCreateActivationDescriptor", activation_create);
  library.bind("cudnnDestroyActivationDescriptor", activation_destroy);
  library.bind("cudnnSetActivationDescriptor", activation_set);
  library.bind("cudnnGetConvolutionForwardAlgorithm_v7", choose);
  library.bind("cudnnConvolutionForward", forward);
  library.bind("cudnnConvolutionBiasActivationForward", forward_fused);
}

void Cudnn::check(int result, const char* doing) const {
  if (result == 0) return;
  throw DeviceError("device 'cuda': " + std::string(doing) + " by cuDNN: status " +
                    std::to_string(result) +
                    "; check that cuDNN and the driver are of one CUDA version");
}

}  // namespace lanewise::cuda
