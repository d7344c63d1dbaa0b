// What If, Loop and Scan share: the node's inputs as tensors, calls of a body with the outer values
// it reads, outputs whose shapes only the run tells, and results stacked over iterations.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {

// A body with what it reads from outside, ready to be called from a step.
class Body {
 public:
  Body(LowerContext& c, std::string_view attribute);

  // `formal`: the body's own inputs; the captured ones are taken from `run`.
  std::vector<Tensor> call(const RunContext& run, std::vector<Tensor> formal) const;
  // The node's input i as planned, not copied: valid during the step. Undefined when absent.
  Tensor input(const RunContext& run, int i) const;

 private:
  struct Form {
    DType dtype = DType::kUndefined;
    Shape shape;
  };
  std::shared_ptr<Callable> callable_;
  std::vector<Form> forms_;  // of the node's inputs
  std::vector<int> captured_;
};

// The graph in the attribute; fails when it is missing or does not have `inputs` formal inputs and
// at least `outputs` outputs.
const Graph& checked_body(const OpContext& c, std::string_view attribute, int inputs, int outputs);

// Gives output i the type that `like`, an output of a body, declares, and unknown dimensions: one
// more than declared when the outputs of iterations are stacked.
void set_emitted(InferContext& c, int i, const Value& like, bool stacked);

// A tensor that outlives the step: the same one, or a copy where the step does not own the bytes.
Tensor owned(const Tensor& tensor);

// One output of a body, over the iterations, along a new first dimension.
class Stack {
 public:
  // `declared` gives type and shape when there is no iteration; unknown dimensions are then 0.
  explicit Stack(const Value& declared) : dtype_(declared.dtype), item_(declared.shape) {}

  // Throws ModelError when the type or shape differs from that of the items before.
  void append(const Tensor& item);
  Tensor finish() const;

 private:
  Shape stacked(std::int64_t count) const;

  DType dtype_;
  Shape item_;
  std::int64_t count_ = 0, capacity_ = 0;
  Tensor buffer_;
};

}  // namespace lanewise
