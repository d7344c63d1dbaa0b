// See body.h.
#include "engine/ops/body.h"

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"
#include "engine/graph/container.h"

namespace lanewise {
namespace {

// Copies the elements of `from` to element `at` of `to`, of the same type.
void copy_elements(const Tensor& from, Tensor& to, std::int64_t at) {
  if (from.dtype() == DType::kString) {
    std::copy_n(from.as<std::string>(), from.elements(), to.mutable_as<std::string>() + at);
  } else if (from.elements() > 0) {
    std::byte* const place =
        to.mutable_as<std::byte>() + static_cast<std::size_t>(at) * dtype_size(from.dtype());
    std::memcpy(place, from.data(), from.bytes());
  }
}

}  // namespace

Body::Body(LowerContext& c, std::string_view attribute)
    : callable_(c.body(attribute)), captured_(c.attr_graph(attribute)->captured) {
  for (int i = 0; i < c.num_inputs(); ++i) {
    forms_.push_back(c.has_input(i) ? Form{c.dtype(i), c.shape(i)} : Form{});
  }
}

std::vector<Tensor> Body::call(const RunContext& run, std::vector<Tensor> formal) const {
  for (int i : captured_) formal.push_back(input(run, i));
  return callable_->call(formal, run.threads);
}

Tensor Body::input(const RunContext& run, int i) const {
  const auto index = static_cast<std::size_t>(i);
  if (index >= forms_.size() || forms_[index].dtype == DType::kUndefined) return {};
  if (const Tensor* owned = owned_input(run, i))
    return owned->viewed(forms_[index].dtype, forms_[index].shape);
  return Tensor::wrap(forms_[index].dtype, forms_[index].shape, run.inputs[index], nullptr);
}

const Graph& checked_body(const OpContext& c, std::string_view attribute, int inputs, int outputs) {
  const Subgraph* body = c.attr_graph(attribute);
  const std::string name(attribute);
  if (body == nullptr || body->graph == nullptr)
    c.fail("attribute '" + name + "' (a graph) is missing");
  const int given = static_cast<int>(body->graph->inputs.size() - body->captured.size());
  if (given != inputs) {
    c.fail("the graph '" + name + "' must have " + std::to_string(inputs) + " inputs, found " +
           std::to_string(given));
  }
  if (static_cast<int>(body->graph->outputs.size()) < outputs) {
    c.fail("the graph '" + name + "' must have " + std::to_string(outputs) + " outputs, found " +
           std::to_string(body->graph->outputs.size()));
  }
  return *body->graph;
}

void set_emitted(InferContext& c, int i, const Value& like, bool stacked) {
  if (stacked && is_container(like.dtype)) {
    c.fail("output " + std::to_string(i) +
           " stacks results of the body, which must be tensors, found " +
           std::string(dtype_name(like.dtype)));
  }
  // The rank is a hint; it is at least 1 so that the shape counts as unknown.
  const int rank = like.ranked ? like.shape.rank() + (stacked ? 1 : 0) : 1;
  const DType dtype = like.dtype == DType::kUndefined ? DType::kFloat32 : like.dtype;
  c.set_output(
      i, dtype,
      Shape(std::vector<std::int64_t>(static_cast<std::size_t>(std::max(rank, 1)), kUnknown)));
}

Tensor owned(const Tensor& tensor) { return tensor.owner() != nullptr ? tensor : tensor.copy(); }

Shape Stack::stacked(std::int64_t count) const {
  Shape shape{count};
  for (std::int64_t dim : item_) shape.push_back(std::max<std::int64_t>(dim, 0));
  return shape;
}

void Stack::append(const Tensor& item) {
  if (is_container(item.dtype())) {
    throw ModelError("an iteration gives a scan output that is no tensor but of type " +
                     std::string(dtype_name(item.dtype())) + "; it cannot be stacked");
  }
  if (count_ == 0) {
    dtype_ = item.dtype();
    item_ = item.shape();
  } else if (item.dtype() != dtype_ || item.shape() != item_) {
    throw ModelError("an iteration gives a scan output of " +
                     std::string(dtype_name(item.dtype())) + " " + item.shape().str() +
                     ", those before gave " + std::string(dtype_name(dtype_)) + " " + item_.str() +
                     "; they cannot be stacked");
  }
  if (count_ == capacity_) {
    capacity_ = std::max<std::int64_t>(4, checked_multiply(2, capacity_));
    Tensor larger = Tensor::allocate(dtype_, stacked(capacity_));
    if (count_ > 0) copy_elements(finish(), larger, 0);
    buffer_ = std::move(larger);
  }
  copy_elements(item, buffer_, count_ * item.elements());
  ++count_;
}

Tensor Stack::finish() const {
  if (count_ == 0) {
    return Tensor::allocate(dtype_ == DType::kUndefined ? DType::kFloat32 : dtype_, stacked(0));
  }
  return Tensor::wrap(dtype_, stacked(count_), buffer_.data(), buffer_.owner());
}

}  // namespace lanewise
