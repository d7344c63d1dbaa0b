// Constant folding of one node.
#include "engine/runtime/evaluate.h"

#include <utility>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/passes/passes.h"
#include "engine/runtime/weights.h"

namespace lanewise {
namespace {

template <class To, class From>
Tensor converted(const Tensor& from) {
  Tensor result = Tensor::allocate(kDTypeOf<To>, from.shape());
  for (std::int64_t i = 0; i < from.elements(); ++i) {
    result.mutable_as<To>()[i] = static_cast<To>(static_cast<float>(from.as<From>()[i]));
  }
  return result;
}

Tensor widened(const Tensor& narrow) {
  return narrow.dtype() == DType::kFloat16 ? converted<float, Float16>(narrow)
                                           : converted<float, BFloat16>(narrow);
}

Tensor narrowed(const Tensor& wide, DType dtype) {
  return dtype == DType::kFloat16 ? converted<Float16, float>(wide)
                                  : converted<BFloat16, float>(wide);
}

// An output's bytes for a view: the input's under the inferred shape.
Tensor viewed(const ValueInfo& input, const ValueInfo& output) {
  return input.content->viewed(output.dtype, output.shape);
}

std::vector<Tensor> run_lowered(const Node& node, std::span<const ValueInfo> inputs,
                                std::span<const ValueInfo> outputs, const Options& options,
                                const LowerContext::SubgraphCompiler& compile) {
  SharedWeights weights;  // folding happens once: nothing is worth keeping
  const LowerOptions lowering{options.isa, 1, options.numerics, {}};
  LowerContext context(node, inputs, outputs, lowering, weights, compile);
  const Step step = node.op->lower(context);
  std::vector<Tensor> results(outputs.size());
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const ValueInfo& info : inputs) in.push_back(info.content ? info.content->data() : nullptr);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].present() && outputs[i].shape.known()) {
      results[i] = Tensor::allocate(outputs[i].dtype, outputs[i].shape);
    }
    out.push_back(results[i].mutable_data());
  }
  TensorEmitter emitter(results);
  const AlignedBytes scratch = allocate_aligned(step.scratch_bytes);
  step.run(
      {.inputs = in, .outputs = out, .scratch = scratch.get(), .threads = 1, .emitter = &emitter});
  return results;
}

}  // namespace

std::vector<ValueInfo> infer_node(const Node& node, std::span<const ValueInfo> inputs) {
  // Where the engine will compute in float32, the shape rule sees float32; its float32 results
  // then stand for the first such input's own type.
  DType first = DType::kUndefined;
  std::vector<ValueInfo> seen(inputs.begin(), inputs.end());
  for (ValueInfo& info : seen) {
    if (node.op->any_float || (!is_narrow(info.dtype) && info.dtype != DType::kFloat32)) continue;
    if (first == DType::kUndefined) first = info.dtype;
    info.dtype = DType::kFloat32;
  }
  std::vector<ValueInfo> outputs(node.outputs.size());
  InferContext context(node, seen, inputs, outputs);
  for (std::size_t i = 0; i < seen.size() && !node.op->containers; ++i) {
    if (is_container(seen[i].dtype)) {
      context.fail("input " + std::to_string(i) + " must be a tensor, found " +
                   (seen[i].dtype == DType::kOptional ? "an " : "a ") +
                   std::string(dtype_name(seen[i].dtype)) + "; take a tensor out of it first");
    }
  }
  node.op->infer(context);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue && !outputs[i].present()) {
      context.unsupported("output " + std::to_string(i) +
                          " cannot be computed; leave it out of the model");
    }
    if (outputs[i].dtype == DType::kFloat32 && is_narrow(first) &&
        !context.is_exact(static_cast<int>(i))) {
      outputs[i].dtype = first;
    }
    if (outputs[i].shape.known()) (void)outputs[i].shape.elements();  // throws when it overflows
  }
  return outputs;
}

std::vector<Tensor> evaluate_node(const Node& node, std::span<const ValueInfo> inputs,
                                  const Options& options,
                                  const LowerContext::SubgraphCompiler& compile) {
  std::vector<ValueInfo> outputs = infer_node(node, inputs);
  if (node.op->view) return {viewed(inputs[0], outputs[0])};
  if (node.op->any_float) return run_lowered(node, inputs, outputs, options, compile);
  std::vector<ValueInfo> wide(inputs.begin(), inputs.end());
  for (ValueInfo& info : wide) {
    if (!is_narrow(info.dtype)) continue;
    info.dtype = DType::kFloat32;
    if (info.content) info.content = std::make_shared<const Tensor>(widened(*info.content));
  }
  std::vector<DType> wanted;
  for (ValueInfo& info : outputs) {
    wanted.push_back(info.dtype);
    if (is_narrow(info.dtype)) info.dtype = DType::kFloat32;
  }
  std::vector<Tensor> results = run_lowered(node, wide, outputs, options, compile);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].defined() && is_narrow(wanted[i])) results[i] = narrowed(results[i], wanted[i]);
  }
  return results;
}

}  // namespace lanewise
