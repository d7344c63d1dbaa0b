// Runs one node on known contents: constant folding at load and while planning.
#pragma once

#include <span>
#include <vector>

#include "engine/graph/op.h"
#include "engine/runtime/options.h"

namespace lanewise {

// Calls the operator's shape rule and checks that it gave each output a type. Returns infos with
// kUnknown dimensions where the result depends on data. NeedsData passes through.
std::vector<ValueInfo> infer_node(const Node& node, std::span<const ValueInfo> inputs);

// The outputs of a node whose inputs all have content (or whose operator reads shapes only), in
// row-major order. An output that the node leaves out is an undefined tensor.
std::vector<Tensor> evaluate_node(const Node& node, std::span<const ValueInfo> inputs,
                                  const Options& options,
                                  const LowerContext::SubgraphCompiler& compile);

// One step run, its outputs in fresh tensors; emitted ones replace them.
class TensorEmitter final : public Emitter {
 public:
  explicit TensorEmitter(std::vector<Tensor>& outputs) : outputs_(outputs) {}
  void emit(int output, Tensor tensor) override {
    outputs_[static_cast<std::size_t>(output)] = std::move(tensor);
  }

 private:
  std::vector<Tensor>& outputs_;
};

}  // namespace lanewise
