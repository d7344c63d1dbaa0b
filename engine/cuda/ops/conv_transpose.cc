// ConvTranspose and FusedConvTranspose by a kernel of our own.
#include "engine/cuda/kernels/conv_transpose.cuh"

#include <memory>
#include <string>

#include "engine/base/half.h"
#include "engine/cuda/eltwise.h"
#include "engine/cuda/epilogue.h"
#include "engine/graph/backing.h"
#include "engine/ops/fused.h"
#include "engine/ops/window.h"

namespace lanewise::cuda {
namespace {

// Weights [channel][filter][taps] as [tap][channel][filter], in the device's type.
template <class T>
void repack(const Tensor& weights, std::byte* bytes) {
  const Hold hold(weights);
  const Shape& shape = weights.shape();
  const std::int64_t filters = shape[1], taps = shape.elements(2, shape.rank());
  const float* from = weights.as<float>();
  T* to = reinterpret_cast<T*>(bytes);
  for (std::int64_t t = 0; t < taps; ++t) {
    for (std::int64_t c = 0; c < shape[0]; ++c) {
      for (std::int64_t k = 0; k < filters; ++k)
        *to++ = static_cast<T>(from[(c * filters + k) * taps + t]);
    }
  }
}

std::shared_ptr<const std::byte> packed(const CudaLowerContext& c) {
  const Tensor& w = *c.content(1);
  const DType dtype = c.output(0).dtype;
  const auto bytes = static_cast<std::size_t>(w.elements()) * dtype_size(dtype);
  return c.weights(w, "transposed:" + std::string(dtype_name(dtype)), bytes, [&](std::byte* to) {
    if (dtype == DType::kFloat16) return repack<Float16>(w, to);
    if (dtype == DType::kBFloat16) return repack<BFloat16>(w, to);
    repack<float>(w, to);
  });
}

Step lower(CudaLowerContext& c) {
  const std::string suffix = float_suffix(c, c.output(0).dtype);
  if (c.content(1) == nullptr) c.refuse("the weights are no constant");
  if (c.content(1)->dtype() != DType::kFloat32) c.refuse("the weights are not float32");
  if (c.layout(0) != Layout::kChannelsLast) c.refuse("the activations are not channels-last");
  const Shape &in = c.shape(0), &out = c.out_shape(0);
  if (in.rank() > 5) c.refuse("it has more than 3 spatial axes");
  const Window window = transposed_window(c);
  ConvTransposeCall p;
  p.elements = counted(c, out.elements());
  (void)counted(c, in.elements());
  p.channels = static_cast<int>(in[1]);
  p.group = static_cast<int>(c.attr_int("group"));
  p.filters = divisor_of(static_cast<unsigned>(out[1]));
  p.per_group = divisor_of(static_cast<unsigned>(c.shape(1)[1]));
  for (int d = 0; d < 3; ++d) p.out[d] = divisor_of(1);
  for (int i = 0; i < window.rank(); ++i) {
    const auto from = static_cast<std::size_t>(i);
    const int d = 3 - window.rank() + i;
    p.in[d] = static_cast<int>(in[i + 2]);
    p.out[d] = divisor_of(static_cast<unsigned>(out[i + 2]));
    p.kernel[d] = static_cast<int>(window.kernel[from]);
    p.stride[d] = static_cast<int>(window.stride[from]);
    p.dilation[d] = static_cast<int>(window.dilation[from]);
    p.pad[d] = static_cast<int>(window.pad_begin[from]);
  }
  const kernels::ActivationCall activation = fused_activation(c);
  p.function = static_cast<int>(activation.function);
  p.alpha = activation.alpha;
  p.beta = activation.beta;
  const Kernel kernel = c.kernel("conv_transpose", "conv_transpose_" + suffix);
  Step step;
  step.algorithm = "gathered";
  step.run = [=, weights = packed(c)](const RunContext& run) {
    ConvTransposeCall now = p;
    now.x = run.inputs[0];
    now.weights = weights.get();
    if (run.has_in(2)) now.bias = run.inputs[2];
    now.y = run.outputs[0];
    kernel.launch(run, blocks_for(now.elements, 128), {128}, 0, now);
  };
  return step;
}

constexpr CudaOp kOps[] = {{.name = "ConvTranspose", .lower = lower},
                           {.domain = "lanewise", .name = "FusedConvTranspose", .lower = lower}};

}  // namespace

extern const CudaOpTable conv_transpose_cuda_ops;
const CudaOpTable conv_transpose_cuda_ops = {kOps};

}  // namespace lanewise::cuda
