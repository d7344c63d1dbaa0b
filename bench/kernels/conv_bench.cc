// Times convolution layers one by one against this machine's peak of multiply-adds, measured
// between the layers, so that a change of clock or a busy neighbour shows in both.
// Usage: conv_bench [SHAPES] [isa=avx512] [threads=1] [runs=20] [force=direct] [only=conv2]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/graph/op.h"
#include "engine/kernels/peak/peak.h"

namespace lanewise {
namespace {

struct Layer {
  std::string name;
  std::int64_t channels, size, outputs, kernel, stride, pad, group, count;
};

struct Options {
  std::string shapes = "bench/shapes/resnet50.txt", only;
  LowerOptions lower{best_isa(), 1, Numerics::kFast, ""};
  std::string force;
  int runs = 20;
};

// Packed weights that live as long as the bench.
class Cache final : public WeightCache {
 public:
  std::shared_ptr<const std::byte> get(const void*, const std::string&, std::size_t bytes,
                                       const std::function<void(std::byte*)>& fill) override {
    std::shared_ptr<std::byte> memory = allocate_shared(bytes);
    fill(memory.get());
    return memory;
  }
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// FLOP/s of one thread over about a millisecond.
double peak(Isa isa) {
  const double start = seconds();
  const double flops = kernels::peak_f32(isa).fma(50000);
  return flops / (seconds() - start);
}

std::vector<Layer> read_layers(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw InputError("cannot read the shapes in '" + path + "'", "shapes", "a file", path);
  std::vector<Layer> layers;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    Layer layer;
    std::istringstream(line) >> layer.name >> layer.channels >> layer.size >> layer.outputs >>
        layer.kernel >> layer.stride >> layer.pad >> layer.group >> layer.count;
    layers.push_back(layer);
  }
  return layers;
}

ValueInfo random_value(Shape shape, Layout layout, std::vector<Tensor>& arrays) {
  Tensor tensor = Tensor::allocate(DType::kFloat32, shape);
  auto* data = tensor.mutable_as<float>();
  for (std::int64_t i = 0; i < tensor.elements(); ++i)
    data[i] = static_cast<float>((i * 7919) % 17 - 8) / 8.0f;
  arrays.push_back(tensor);
  return {DType::kFloat32, std::move(shape), layout, std::make_shared<const Tensor>(tensor)};
}

struct Times {
  double layer = 1e30, peak = 0.0;  // best seconds, best FLOP/s
};

double bench_layer(const Layer& l, const Options& options) {
  Node node;
  node.op = find_op("lanewise", "FusedConv");
  node.name = l.name;
  node.inputs = {0, 1, 2};
  node.outputs = {3};
  node.attributes["strides"] = std::vector<std::int64_t>{l.stride, l.stride};
  node.attributes["pads"] = std::vector<std::int64_t>(4, l.pad);
  node.attributes["group"] = l.group;
  node.attributes["activation"] = std::string("Relu");
  std::vector<Tensor> arrays;
  std::vector<ValueInfo> in;
  in.push_back(random_value({1, l.channels, l.size, l.size}, Layout::kChannelsLast, arrays));
  in[0].content = nullptr;
  in.push_back(
      random_value({l.outputs, l.channels / l.group, l.kernel, l.kernel}, Layout::kPlain, arrays));
  in.push_back(random_value({l.outputs}, Layout::kPlain, arrays));
  std::vector<ValueInfo> out(1);
  InferContext infer(node, in, out);
  node.op->infer(infer);
  out[0].layout = Layout::kChannelsLast;
  Cache cache;
  const LowerContext::SubgraphCompiler compile;
  LowerContext context(node, in, out, options.lower, cache, compile);
  const Step step = node.op->lower(context);
  const AlignedBytes scratch = allocate_aligned(step.scratch_bytes + 1);
  Tensor y = Tensor::allocate(DType::kFloat32, out[0].shape);
  const void* inputs[] = {arrays[0].data(), arrays[1].data(), arrays[2].data()};
  void* outputs[] = {y.mutable_data()};
  const RunContext run{inputs, outputs, scratch.get(), options.lower.threads, nullptr};
  Times best;
  for (int i = 0; i < options.runs; ++i) {
    best.peak = std::max(best.peak, peak(options.lower.isa));
    const double start = seconds();
    step.run(run);
    best.layer = std::min(best.layer, seconds() - start);
  }
  const double flops = node.op->flops(context, out);
  std::printf(
      "%-14s %5ld x %4ld -> %5ld  %ldx%ld/%ld  %-15s %8.3f ms %7.1f GFLOP/s %5.1f %% of peak\n",
      l.name.c_str(), static_cast<long>(l.channels), static_cast<long>(l.size),
      static_cast<long>(l.outputs), static_cast<long>(l.kernel), static_cast<long>(l.kernel),
      static_cast<long>(l.stride), step.algorithm.c_str(), best.layer * 1e3,
      flops / best.layer / 1e9, 100.0 * flops / best.layer / (best.peak * options.lower.threads));
  return best.layer * static_cast<double>(l.count);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t at = argument.find('=');
    const std::string key = argument.substr(0, at);
    const std::string value = at == std::string::npos ? "" : argument.substr(at + 1);
    if (at == std::string::npos) options.shapes = argument;
    if (key == "isa") options.lower.isa = parse_isa(value);
    if (key == "threads") options.lower.threads = std::max(1, std::atoi(value.c_str()));
    if (key == "runs") options.runs = std::max(1, std::atoi(value.c_str()));
    if (key == "force") options.force = value;
    if (key == "only") options.only = value;
  }
  options.lower.force = options.force;
  return options;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  double total = 0.0;
  for (const Layer& layer : read_layers(options.shapes)) {
    if (layer.name.starts_with(options.only)) total += bench_layer(layer, options);
  }
  std::printf("all layers, as often as the network has them: %.2f ms\n", total * 1e3);
  return 0;
}

}  // namespace
}  // namespace lanewise

int main(int argc, char** argv) {
  try {
    return lanewise::run(argc, argv);
  } catch (const lanewise::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
