// Describing convolutions to cuDNN and choosing among its algorithms.
#include "engine/cuda/conv.h"

#include <algorithm>
#include <limits>

namespace lanewise::cuda {
namespace {

// More than this for one layer is not worth what it wins.
constexpr std::size_t kMostWorkspace = std::size_t{512} << 20;
constexpr int kMostChoices = 8;

int dnn_type(DType dtype) {
  if (dtype == DType::kFloat16) return kDnnFloat16;
  return dtype == DType::kBFloat16 ? kDnnBFloat16 : kDnnFloat32;
}

// Depth is an axis of its own only where it is used.
bool is_flat(const ConvProblem& p) {
  return p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 && p.pad[0] == 0;
}

// cuDNN pads both ends alike.
bool same_outputs(const ConvProblem& p) {
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t span = p.dilation[i] * (p.kernel[i] - 1) + 1;
    if ((p.in[i] + 2 * p.pad[i] - span) / p.stride[i] + 1 != p.out[i]) return false;
  }
  return true;
}

std::vector<int> spatial(const ConvProblem::Sizes& sizes, bool flat) {
  std::vector<int> result;
  for (std::size_t i = flat ? 1 : 0; i < 3; ++i) result.push_back(static_cast<int>(sizes[i]));
  return result;
}

std::vector<int> array_dims(std::int64_t n, std::int64_t c, const ConvProblem::Sizes& sizes,
                            bool flat) {
  std::vector<int> dims{static_cast<int>(n), static_cast<int>(c)};
  for (int size : spatial(sizes, flat)) dims.push_back(size);
  return dims;
}

}  // namespace

ConvShape conv_shape(const ConvProblem& p) {
  ConvShape s{};
  s.batch = static_cast<int>(p.batch);
  s.channels = static_cast<int>(p.channels);
  s.outputs = static_cast<int>(p.outputs);
  s.group = static_cast<int>(p.group);
  for (std::size_t i = 0; i < 3; ++i) {
    s.in[i] = static_cast<int>(p.in[i]);
    s.out[i] = static_cast<int>(p.out[i]);
    s.kernel[i] = static_cast<int>(p.kernel[i]);
    s.stride[i] = static_cast<int>(p.stride[i]);
    s.dilation[i] = static_cast<int>(p.dilation[i]);
    s.pad[i] = static_cast<int>(p.pad[i]);
  }
  s.function = static_cast<int>(p.activation);
  s.alpha = p.alpha;
  s.beta = p.beta;
  return s;
}

std::unique_ptr<CudnnConvolution> CudnnConvolution::make(const CudaLowerContext& c,
                                                         const ConvProblem& problem,
                                                         std::string& reason) {
  if (!same_outputs(problem)) {
    reason = "the padding differs at the two ends of an axis";
    return nullptr;
  }
  std::unique_ptr<CudnnConvolution> made(new CudnnConvolution(c.device()));
  const Device::Entered entered(*c.device());
  const std::lock_guard lock(c.device()->planning());
  made->describe(problem, dnn_type(c.output(0).dtype));
  return made->choose(c, reason) ? std::move(made) : nullptr;
}

CudnnConvolution::~CudnnConvolution() {
  for (const auto& [destroy, descriptor] : descriptors_) (void)destroy(descriptor);
}

void* CudnnConvolution::described(int (*create)(void**), int (*destroy)(void*)) {
  void* descriptor = nullptr;
  device_->cudnn().check(create(&descriptor), "describing a convolution");
  descriptors_.emplace_back(destroy, descriptor);
  return descriptor;
}

void CudnnConvolution::describe(const ConvProblem& p, int type) {
  const Cudnn& dnn = device_->cudnn();
  const bool flat = is_flat(p);
  const auto tensor = [&](const std::vector<int>& dims) {
    void* made = described(dnn.tensor_create, dnn.tensor_destroy);
    dnn.check(
        dnn.tensor_set(made, kDnnChannelsLast, type, static_cast<int>(dims.size()), dims.data()),
        "describing activations");
    return made;
  };
  x_ = tensor(array_dims(p.batch, p.channels, p.in, flat));
  y_ = tensor(array_dims(p.batch, p.outputs, p.out, flat));
  bias_ = tensor(array_dims(1, p.outputs, {1, 1, 1}, flat));
  w_ = described(dnn.filter_create, dnn.filter_destroy);
  const std::vector<int> filter = array_dims(p.outputs, p.group_channels(), p.kernel, flat);
  dnn.check(
      dnn.filter_set(w_, type, kDnnChannelsLast, static_cast<int>(filter.size()), filter.data()),
      "describing weights");
  convolution_ = described(dnn.convolution_create, dnn.convolution_destroy);
  const std::vector<int> pads = spatial(p.pad, flat), strides = spatial(p.stride, flat),
                         dilations = spatial(p.dilation, flat);
  dnn.check(
      dnn.convolution_set(convolution_, static_cast<int>(pads.size()), pads.data(), strides.data(),
                          dilations.data(), kDnnCrossCorrelation, kDnnFloat32),
      "describing a convolution");
  dnn.check(dnn.convolution_groups(convolution_, static_cast<int>(p.group)), "grouping channels");
  relu_ = described(dnn.activation_create, dnn.activation_destroy);
  identity_ = described(dnn.activation_create, dnn.activation_destroy);
  dnn.check(dnn.activation_set(relu_, kDnnRelu, kDnnPropagateNan, 0.0), "describing ReLU");
  dnn.check(dnn.activation_set(identity_, kDnnIdentity, kDnnPropagateNan, 0.0),
            "describing no activation");
}

bool CudnnConvolution::choose(const CudaLowerContext& c, std::string& reason) {
  const Cudnn& dnn = device_->cudnn();
  // Tensor cores round float32 factors to 11 bits.
  const bool exact = c.output(0).dtype == DType::kFloat32 && c.precision() == Precision::kFloat32;
  (void)dnn.convolution_math(convolution_, exact ? kDnnFmaMath : kDnnTensorMath);
  ConvolutionChoice choices[kMostChoices] = {};
  int found = 0;
  const int result =
      dnn.choose(device_->cudnn_handle(), x_, w_, convolution_, y_, kMostChoices, &found, choices);
  for (int i = 0; result == 0 && i < found; ++i) {
    const ConvolutionChoice& choice = choices[i];
    const bool allowed = !exact || choice.math == kDnnFmaMath;
    if (choice.status != 0 || !allowed || choice.workspace > kMostWorkspace) continue;
    chosen_ = choice;
    (void)dnn.convolution_math(convolution_, choice.math);
    return true;
  }
  reason = "cuDNN has no algorithm for it (status " + std::to_string(result) + ")";
  return false;
}

std::string CudnnConvolution::algorithm() const {
  static constexpr const char* kNames[] = {
      "implicit gemm", "precomputed gemm", "gemm",     "direct",
      "fft",           "fft tiling",       "winograd", "winograd nonfused"};
  const auto index = static_cast<std::size_t>(chosen_.algorithm);
  return "cudnn " + std::string(index < std::size(kNames) ? kNames[index] : "other");
}

int CudnnConvolution::enqueue(const RunContext& run, const void* x, const void* w, void* y) const {
  const float one = 1.0f, zero = 0.0f;
  return device_->cudnn().forward(stream_of(run).cudnn, &one, x_, x, w_, w, convolution_,
                                  chosen_.algorithm, run.scratch, chosen_.workspace, &zero, y_, y);
}

int CudnnConvolution::enqueue_fused(const RunContext& run, const void* x, const void* w,
                                    const void* z, const void* bias, bool relu, void* y) const {
  const float one = 1.0f, zero = 0.0f;
  return device_->cudnn().forward_fused(stream_of(run).cudnn, &one, x_, x, w_, w, convolution_,
                                        chosen_.algorithm, run.scratch, chosen_.workspace,
                                        z == nullptr ? &zero : &one, y_, z == nullptr ? y : z,
                                        bias_, bias, relu ? relu_ : identity_, y_, y);
}

}  // namespace lanewise::cuda
