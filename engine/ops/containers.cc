// See containers.h. No operator is here.
#include "engine/ops/containers.h"

#include <utility>

namespace lanewise {

void expect_container(const OpContext& c, int i, DType kind) {
  if (c.dtype(i) == kind) return;
  c.fail("input " + std::to_string(i) + " must be a " + std::string(dtype_name(kind)) + ", found " +
         (is_container(c.dtype(i)) ? "" : "a tensor of ") + std::string(dtype_name(c.dtype(i))));
}

void expect_tensor(const OpContext& c, int i) {
  if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is required and left out");
  if (is_container(c.dtype(i))) {
    c.fail("input " + std::to_string(i) + " must be a tensor, found " +
           std::string(dtype_name(c.dtype(i))));
  }
}

void expect_position(const OpContext& c, int i) {
  if (!c.has_input(i)) return;
  c.expect_dtype(i, {DType::kInt32, DType::kInt64});
  if (c.shape(i).elements() != 1) {
    c.fail("input " + std::to_string(i) + " must be one value, found shape " + c.shape(i).str());
  }
}

ValueInput::ValueInput(const OpContext& c, int i) : index_(i) {
  if (!c.has_input(i)) return;
  dtype_ = c.dtype(i);
  shape_ = c.shape(i);
}

Tensor ValueInput::view(const RunContext& run) const {
  return Tensor::wrap(dtype_, shape_, run.inputs[static_cast<std::size_t>(index_)], nullptr);
}

Tensor ValueInput::kept(const RunContext& run) const {
  const Tensor* owned = owned_input(run, index_);
  return owned != nullptr ? owned->viewed(dtype_, shape_) : view(run).copy();
}

const Container& ValueInput::container(const RunContext& run) const {
  return *run.in<Container>(index_);
}

std::int64_t ValueInput::integer(const RunContext& run, std::int64_t missing) const {
  if (!present()) return missing;
  return dtype_ == DType::kInt32 ? *run.in<std::int32_t>(index_) : *run.in<std::int64_t>(index_);
}

}  // namespace lanewise
