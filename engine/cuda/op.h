// What a lowering to CUDA is given, and the tables that the build finds: a file
// engine/cuda/ops/<family>.cc defines `extern const CudaOpTable <family>_cuda_ops`.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/cuda/kernel.h"
#include "engine/graph/backend.h"

namespace lanewise::cuda {

class Device;

// Thrown by CudaLowerContext::refuse: the node runs on the host.
struct Refused {
  std::string reason;
};

// Infos are those of the values on the device: a float32 value of the model is of type half where
// the precision says so. content() is the host's, in the model's own type. Pointers that the step
// gets are addresses on the device.
class CudaLowerContext : public LowerContext {
 public:
  CudaLowerContext(const LowerContext& context, const std::shared_ptr<Device>& device,
                   Precision precision)
      : LowerContext(context), device_(device), precision_(precision) {}

  const std::shared_ptr<Device>& device() const { return device_; }
  Precision precision() const { return precision_; }

  // The `extern "C" __global__` function of engine/cuda/kernels/<source>.cu.
  Kernel kernel(std::string_view source, const std::string& function) const;
  // Memory on the device, shared by all plans of the model, with the bytes that `fill` writes to
  // the host. Rules as for WeightCache::get.
  std::shared_ptr<const std::byte> weights(const Tensor& source, const std::string& key,
                                           std::size_t bytes,
                                           const std::function<void(std::byte*)>& fill) const;
  // A code for a kernel to put at fault_of(run) when data break the operator's contract; the run
  // then throws ModelError with this message after where().
  int fault(const std::string& message) const;
  // Ends the lowering: why the device does not run the node.
  [[noreturn]] void refuse(std::string reason) const { throw Refused{std::move(reason)}; }

 private:
  const std::shared_ptr<Device>& device_;
  Precision precision_;
};

struct CudaOp {
  std::string_view domain = {};  // "" is ai.onnx
  std::string_view name = {};
  Step (*lower)(CudaLowerContext&) = nullptr;
};

struct CudaOpTable {
  std::span<const CudaOp> ops;
};

// The row, or null.
const CudaOp* find_cuda_op(std::string_view domain, std::string_view name);

}  // namespace lanewise::cuda
