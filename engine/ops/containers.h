// What operators over sequences, optionals and maps share: checks of kinds, whole inputs as values.
#pragma once

#include <cstdint>
#include <string>

#include "engine/graph/container.h"
#include "engine/graph/op.h"

namespace lanewise {

// Fails unless input i is of that kind.
void expect_container(const OpContext& c, int i, DType kind);
// Fails unless input i is a tensor.
void expect_tensor(const OpContext& c, int i);
// Fails unless input i, where it is given, is one int32 or int64.
void expect_position(const OpContext& c, int i);

// An input of a node as its plan has it, for steps that handle whole values.
class ValueInput {
 public:
  ValueInput() = default;  // absent
  ValueInput(const OpContext& c, int i);

  bool present() const { return dtype_ != DType::kUndefined; }
  DType dtype() const { return dtype_; }
  // Valid during the step.
  Tensor view(const RunContext& run) const;
  // The value in memory that outlives the step: shared where that can be, else a copy.
  Tensor kept(const RunContext& run) const;
  const Container& container(const RunContext& run) const;
  // The one value of an integer input; `missing` where it is left out.
  std::int64_t integer(const RunContext& run, std::int64_t missing) const;

 private:
  int index_ = 0;
  DType dtype_ = DType::kUndefined;
  Shape shape_;
};

}  // namespace lanewise
