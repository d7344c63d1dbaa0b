// Sequences, optionals and maps: values that hold tensors or one another. To the engine each is a
// tensor without dimensions whose one element is a Container, of dtype kSequence, kOptional or
// kMap.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/graph/tensor.h"

namespace lanewise {

struct RunContext;

struct Container {
  // What an item is, outermost first: {kFloat32}, or {kSequence, kFloat32} in an optional of a
  // sequence; of a map, the key's type before the value's. Empty where nothing tells.
  std::vector<DType> holds;
  // Of a sequence its items, of an optional one or none, of a map its keys and its values (two
  // tensors of rank 1 and one length). Items own their bytes or share them with another owner.
  std::vector<Tensor> items;
};

// A value of that kind.
Tensor make_container(DType kind, Container content);

inline const Container& container_of(const Tensor& value) { return *value.as<Container>(); }

// The type of a value: {kFloat32} of a tensor, {kSequence, kFloat32} of a sequence.
std::vector<DType> type_of(DType dtype, const std::vector<DType>& holds);
std::vector<DType> type_of(const Tensor& value);

// Told by the emitter of a step: which of its inputs lie in memory of their own, so that a
// container may share them.
class OwnedInputs {
 public:
  virtual ~OwnedInputs() = default;
  // Null where the step's input is in memory that others use after it.
  virtual const Tensor* owned(std::size_t input) const = 0;
};

// Null as well where nothing is told.
const Tensor* owned_input(const RunContext& run, int input);

// "float32", "sequence(float32)", "map(int64, float32)"; "?" stands for what is not known.
std::string type_text(const std::vector<DType>& type);

// Whether a value of type `given` may stand where `wanted` is declared: unknown types fit all.
bool fits(const std::vector<DType>& wanted, const std::vector<DType>& given);

// The same value in memory that nobody else holds: itself when it is so already.
Tensor detached(Tensor value);

}  // namespace lanewise
