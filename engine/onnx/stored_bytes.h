// Constants as the model's file holds them: read from there again whenever they are needed.
#pragma once

#include <memory>

#include "engine/graph/tensor.h"
#include "engine/onnx/file.h"

namespace lanewise::onnx {

// Bytes that `owner` keeps alive. Those of a mapped file can leave memory; a caller's cannot.
struct Origin {
  std::shared_ptr<const void> owner;
  const MappedFile* file = nullptr;  // what `owner` keeps alive, if that is a file
};

// A tensor of the bytes, which fit dtype and shape and are worth dropping: views where they are
// aligned, copies that come and go where they are not.
Tensor stored_tensor(DType dtype, Shape shape, const std::byte* bytes, bool aligned, Origin origin);

}  // namespace lanewise::onnx
