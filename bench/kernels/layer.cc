// Lowering and running of one layer.
#include "bench/kernels/layer.h"

#include "engine/kernels/peak/peak.h"

namespace lanewise::bench {
namespace {

Tensor numbers_of(Shape shape) {
  Tensor tensor = Tensor::allocate(DType::kFloat32, std::move(shape));
  auto* data = tensor.mutable_as<float>();
  for (std::int64_t i = 0; i < tensor.elements(); ++i)
    data[i] = static_cast<float>((i * 7919) % 17 - 8) / 8.0f;
  return tensor;
}

ValueInfo value(const Tensor& tensor, Layout layout, bool constant) {
  ValueInfo info;
  info.dtype = tensor.dtype();
  info.shape = tensor.shape();
  info.layout = layout;
  if (constant) info.content = std::make_shared<const Tensor>(tensor);
  return info;
}

}  // namespace

Layer::Layer(const LayerShape& s, Isa isa, int threads, std::string force)
    : force_(std::move(force)), threads_(threads), isa_(isa) {
  Node node;
  node.op = find_op("lanewise", "FusedConv");
  node.name = "layer";
  node.inputs = {0, 1, 2};
  node.outputs = {3};
  node.attributes["strides"] = std::vector<std::int64_t>{s.stride, s.stride};
  node.attributes["pads"] = std::vector<std::int64_t>(4, s.pad);
  node.attributes["group"] = s.group;
  node.attributes["activation"] = std::string("Relu");
  x_ = numbers_of({s.batch, s.channels, s.size, s.size});
  w_ = numbers_of({s.outputs, s.channels / s.group, s.kernel, s.kernel});
  bias_ = numbers_of({s.outputs});
  const std::vector<ValueInfo> in = {value(x_, Layout::kChannelsLast, false),
                                     value(w_, Layout::kPlain, true),
                                     value(bias_, Layout::kPlain, true)};
  std::vector<ValueInfo> out(1);
  InferContext infer(node, in, in, out);
  node.op->infer(infer);
  out[0].layout = Layout::kChannelsLast;
  const LowerOptions options{isa, threads, Numerics::kFast, force_};
  const LowerContext::SubgraphCompiler compile;
  LowerContext context(node, in, out, options, cache_, compile);
  step_ = node.op->lower(context);
  flops_ = node.op->flops(context, out);
  scratch_ = allocate_aligned(step_.scratch_bytes + 1);
  y_ = Tensor::allocate(DType::kFloat32, out[0].shape);
}

void Layer::run() const {
  const void* inputs[] = {x_.data(), w_.data(), bias_.data()};
  void* outputs[] = {const_cast<void*>(y_.data())};
  step_.run({inputs, outputs, scratch_.get(), threads_, nullptr});
}

void Layer::cool() const {
  // More than the second-level cache of any machine.
  static const std::vector<float> others(std::size_t{4} << 20, 1.0f);
  const auto read = kernels::peak_f32(isa_).read;
  volatile float sum = read(others.data(), static_cast<std::int64_t>(others.size()));
  sum = sum + read(x_.as<float>(), x_.elements());
}

std::vector<std::pair<std::string, std::string>> Layer::refused() const {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Refusal& refusal : step_.refused)
    pairs.emplace_back(refusal.algorithm, refusal.reason);
  return pairs;
}

}  // namespace lanewise::bench
