// Conv and FusedConv: through cuDNN, with what follows fused where it can be, or by kernels of our
// own.
#include "engine/cuda/conv.h"

#include <atomic>
#include <limits>

#include "engine/base/half.h"
#include "engine/cuda/epilogue.h"
#include "engine/graph/backing.h"
#include "engine/ops/conv_problem.h"
#include "engine/ops/fused.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 128;

// Writes weights [filter][channel][taps] as [filter][taps][channel], in the device's type.
template <class T>
void transpose_weights(const Tensor& weights, std::byte* bytes) {
  const Hold hold(weights);
  const Shape& shape = weights.shape();
  const std::int64_t channels = shape[1], taps = shape.elements(2, shape.rank());
  const float* from = weights.as<float>();
  T* to = reinterpret_cast<T*>(bytes);
  for (std::int64_t k = 0; k < shape[0]; ++k) {
    for (std::int64_t t = 0; t < taps; ++t) {
      for (std::int64_t c = 0; c < channels; ++c)
        *to++ = static_cast<T>(from[(k * channels + c) * taps + t]);
    }
  }
}

// Forms of the step, from the fastest: what cuDNN refuses only when it is called is taken over by
// the next one, for good.
enum class Form : int { kFused, kPlain, kDirect };

class ConvRun {
 public:
  explicit ConvRun(const CudaLowerContext& c, const ConvProblem& p)
      : direct_(c.kernel("conv", "conv_" + std::string(float_suffix(c, c.output(0).dtype)))),
        shape_(conv_shape(p)),
        elements_(c.out_shape(0).elements()),
        epilogue_(c, {.rows = p.batch * p.out_pixels(),
                      .columns = p.outputs,
                      .activation = {p.activation, p.alpha, p.beta}}) {
    const bool depthwise = p.group == p.channels && p.group > 1;
    if (depthwise)
      reason_ = "depthwise: cuDNN's are slow";
    else
      library_ = CudnnConvolution::make(c, p, reason_);
    using kernels::Activation;
    relu_ = p.activation == Activation::kRelu;
    const bool simple = relu_ || p.activation == Activation::kNone;
    bare_ = p.activation == Activation::kNone && !c.has_input(2) && !c.has_input(3);
    Form form = Form::kDirect;
    if (library_ != nullptr)
      form = simple && !bare_ && library_->fuses(relu_) ? Form::kFused : Form::kPlain;
    form_ = static_cast<int>(form);
    pack(c);
  }

  std::string algorithm() const { return library_ == nullptr ? "direct" : library_->algorithm(); }
  const std::string& reason() const { return reason_; }
  std::size_t workspace() const { return library_ == nullptr ? 0 : library_->workspace(); }

  void run(const RunContext& run) const {
    const void* bias = run.has_in(2) ? run.in<void>(2) : nullptr;
    const void* residual = run.has_in(3) ? run.in<void>(3) : nullptr;
    const void* x = run.in<void>(0);
    void* y = run.out<void>(0);
    Form form = static_cast<Form>(form_.load());
    if (form == Form::kFused) {
      const void* added = bias != nullptr ? bias : zeros_.get();
      if (library_->enqueue_fused(run, x, weights_.get(), residual, added, relu_, y) == 0) return;
      form = Form::kPlain;
    }
    if (form == Form::kPlain) {
      if (library_->enqueue(run, x, weights_.get(), y) == 0) {
        form_ = static_cast<int>(Form::kPlain);
        if (!bare_) epilogue_.enqueue(run, y, bias, residual);
        return;
      }
    }
    form_ = static_cast<int>(Form::kDirect);
    const long long elements = elements_;
    const void* weights = weights_.get();
    direct_.launch(run, blocks_for(elements, kThreads), {kThreads}, 0, x, weights, bias, residual,
                   y, shape_, elements);
  }

 private:
  void pack(const CudaLowerContext& c) {
    const Tensor& w = *c.content(1);
    const DType dtype = c.output(0).dtype;
    const auto bytes = static_cast<std::size_t>(w.elements()) * dtype_size(dtype);
    weights_ = c.weights(w, "conv:" + std::string(dtype_name(dtype)), bytes, [&](std::byte* to) {
      if (dtype == DType::kFloat16) return transpose_weights<Float16>(w, to);
      if (dtype == DType::kBFloat16) return transpose_weights<BFloat16>(w, to);
      transpose_weights<float>(w, to);
    });
    if (c.has_input(2)) return;
    const auto zeros = static_cast<std::size_t>(w.shape()[0]) * sizeof(float);
    zeros_ =
        c.weights(w, "zeros", zeros, [&](std::byte* to) { std::fill_n(to, zeros, std::byte{}); });
  }

  Kernel direct_;
  ConvShape shape_;
  std::int64_t elements_;
  CudaEpilogue epilogue_;
  std::unique_ptr<CudnnConvolution> library_;
  std::string reason_;
  std::shared_ptr<const std::byte> weights_, zeros_;
  bool relu_ = false, bare_ = false;
  mutable std::atomic<int> form_;
};

bool counts_fit(const ConvProblem& p) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  return p.batch * p.in_pixels() * p.channels <= kMost &&
         p.batch * p.out_pixels() * p.outputs <= kMost;
}

Step lower(CudaLowerContext& c) {
  (void)float_suffix(c, c.output(0).dtype);
  if (c.content(1) == nullptr) c.refuse("the weights are no constant");
  if (c.content(1)->dtype() != DType::kFloat32) c.refuse("the weights are not float32");
  ConvProblem p = conv_problem(c, resolve_window(c, weight_kernel(c)));
  const kernels::ActivationCall activation = fused_activation(c);
  p.activation = activation.function;
  p.alpha = activation.alpha;
  p.beta = activation.beta;
  if (c.layout(0) != Layout::kChannelsLast) c.refuse("the activations are not channels-last");
  if (!counts_fit(p)) c.refuse("the activations have more than 2^31 elements");
  const auto made = std::make_shared<const ConvRun>(c, p);
  Step step;
  step.algorithm = made->algorithm();
  if (!made->reason().empty()) step.refused.push_back({"cudnn", made->reason()});
  step.scratch_bytes = made->workspace();
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

constexpr CudaOp kOps[] = {{.name = "Conv", .lower = lower},
                           {.domain = "lanewise", .name = "FusedConv", .lower = lower}};

}  // namespace

extern const CudaOpTable conv_cuda_ops;
const CudaOpTable conv_cuda_ops = {kOps};

}  // namespace lanewise::cuda
