// See container.h.
#include "engine/graph/container.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "engine/graph/context.h"

namespace lanewise {
namespace {

std::string text_at(const std::vector<DType>& type, std::size_t& at) {
  if (at >= type.size() || type[at] == DType::kUndefined) {
    ++at;
    return "?";
  }
  const DType kind = type[at++];
  std::string text(dtype_name(kind));
  if (!is_container(kind)) return text;
  text += "(" + text_at(type, at);
  if (kind == DType::kMap) text += ", " + text_at(type, at);
  return text + ")";
}

}  // namespace

Tensor make_container(DType kind, Container content) {
  Tensor value = Tensor::allocate(kind, Shape{});
  *value.mutable_as<Container>() = std::move(content);
  return value;
}

std::vector<DType> type_of(DType dtype, const std::vector<DType>& holds) {
  std::vector<DType> type;
  type.reserve(holds.size() + 1);
  type.push_back(dtype);
  for (DType held : holds) type.push_back(held);
  return type;
}

std::vector<DType> type_of(const Tensor& value) {
  return type_of(value.dtype(),
                 is_container(value.dtype()) ? container_of(value).holds : std::vector<DType>{});
}

const Tensor* owned_input(const RunContext& run, int input) {
  const auto* told = dynamic_cast<const OwnedInputs*>(run.emitter);
  return told == nullptr ? nullptr : told->owned(static_cast<std::size_t>(input));
}

std::string type_text(const std::vector<DType>& type) {
  std::size_t at = 0;
  return text_at(type, at);
}

bool fits(const std::vector<DType>& wanted, const std::vector<DType>& given) {
  const std::size_t known = std::min(wanted.size(), given.size());
  for (std::size_t i = 0; i < known; ++i) {
    const bool open = wanted[i] == DType::kUndefined || given[i] == DType::kUndefined;
    if (!open && wanted[i] != given[i]) return false;
  }
  return true;
}

Tensor detached(Tensor value) {
  if (value.owner().use_count() != 1) value = value.copy();
  if (is_container(value.dtype())) {
    for (Tensor& item : value.mutable_as<Container>()->items) item = detached(std::move(item));
  }
  return value;
}

}  // namespace lanewise
