// From TensorProto to Tensor: the bytes in the file, in place where they are aligned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/graph/tensor.h"
#include "engine/onnx/file.h"
#include "engine/onnx/proto.h"
#include "engine/onnx/stored_bytes.h"

namespace lanewise::onnx {

// Dimensions per tensor that the library handles.
inline constexpr int kMaxRank = 64;

// Memory that loading may take beyond what the file's own bytes become one to one: dense forms of
// sparse tensors, inlined functions, copies of external data.
class Budget {
 public:
  explicit Budget(std::uint64_t bytes) : left_(bytes) {}
  // Throws ResourceError naming `what` when less is left.
  void take(std::uint64_t bytes, const char* what);
  void grant(std::uint64_t bytes) { left_ += bytes; }

 private:
  std::uint64_t left_;
};

// What tensors are made from: who keeps the file's bytes alive, and where external data lies.
class TensorSource {
 public:
  TensorSource(Origin origin, ExternalFiles& files, Budget& budget)
      : origin_(std::move(origin)), files_(files), budget_(budget) {}

  // Throws ModelError when type, dimensions and data do not agree. Types of less than a byte are
  // unpacked to one element per byte.
  Tensor make(const TensorProto& proto);
  // The dense tensor; absent elements are zero.
  Tensor make(const SparseTensorProto& proto);

  Budget& budget() { return budget_; }

 private:
  Tensor make_strings(const TensorProto& proto, Shape shape);
  Tensor from_bytes(const TensorProto& proto, DType dtype, Shape shape, std::string_view bytes,
                    const Origin& origin);
  Tensor from_external(const TensorProto& proto, DType dtype, Shape shape);
  Tensor from_fields(const TensorProto& proto, DType dtype, Shape shape);

  Origin origin_;
  ExternalFiles& files_;
  Budget& budget_;
};

}  // namespace lanewise::onnx
