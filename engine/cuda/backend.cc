// CUDA behind the seam of engine/graph/backend.h: tables of lowerings, uploads, frames.
#include "engine/graph/backend.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/cuda/frame.h"
#include "engine/cuda/op.h"
#include "engine/graph/backing.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace cuda {

// Made by the build from the files in engine/cuda/ops.
extern const std::span<const CudaOpTable* const> kCudaOpTables;

namespace {

// Bytes of float32 values as halves.
AlignedBytes narrowed(const Tensor& values, DType dtype) {
  AlignedBytes bytes = allocate_aligned(static_cast<std::size_t>(values.elements()) * 2);
  auto* to = reinterpret_cast<std::uint16_t*>(bytes.get());
  const float* from = values.as<float>();
  for (std::int64_t i = 0; i < values.elements(); ++i) {
    to[i] = dtype == DType::kFloat16 ? float_to_half(from[i]) : float_to_bfloat(from[i]);
  }
  return bytes;
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::shared_ptr<Device> device, Precision precision)
      : device_(std::move(device)), precision_(precision) {}

  std::string name() const override { return "cuda:" + std::to_string(device_->ordinal()); }

  DType float_type() const override {
    if (precision_ == Precision::kFloat16) return DType::kFloat16;
    return precision_ == Precision::kBFloat16 ? DType::kBFloat16 : DType::kFloat32;
  }

  Lowered lower(const LowerContext& context) override {
    const OpDef& op = *context.node().op;
    const CudaOp* row = find_cuda_op(op.domain, op.name);
    if (row == nullptr) return "there is no form of " + op_name(op) + " for the device";
    CudaLowerContext own(context, device_, precision_);
    try {
      return row->lower(own);
    } catch (const Refused& refused) {
      return refused.reason;
    }
  }

  std::shared_ptr<const std::byte> upload(const Tensor& constant, DType dtype) override {
    const Hold hold(constant);
    if (dtype == constant.dtype()) return device_->upload(constant.data(), constant.bytes());
    const AlignedBytes bytes = narrowed(constant, dtype);
    return device_->upload(bytes.get(), static_cast<std::size_t>(constant.elements()) * 2);
  }

  std::unique_ptr<DeviceFrame> make_frame(std::size_t arena_bytes,
                                          std::size_t staging_bytes) override {
    return std::make_unique<Frame>(device_, arena_bytes, staging_bytes);
  }

 private:
  std::shared_ptr<Device> device_;
  Precision precision_;
};

// The number in "cuda" or "cuda:1".
int ordinal_of(const std::string& device) {
  int ordinal = 0;
  const std::string_view text = device;
  if (text == "cuda") return 0;
  const char* end = text.data() + text.size();
  const bool numbered =
      text.starts_with("cuda:") && text.size() > 5 && text[5] >= '0' && text[5] <= '9';
  if (numbered) {
    const auto read = std::from_chars(text.data() + 5, end, ordinal);
    if (read.ec == std::errc() && read.ptr == end) return ordinal;
  }
  throw InputError("device: expected 'cpu', 'cuda' or 'cuda:<number>', got '" + device + "'",
                   "device", "cpu, cuda or cuda:<number>", device);
}

}  // namespace

const CudaOp* find_cuda_op(std::string_view domain, std::string_view name) {
  for (const CudaOpTable* table : kCudaOpTables) {
    for (const CudaOp& op : table->ops) {
      if (op.domain == domain && op.name == name) return &op;
    }
  }
  return nullptr;
}

Kernel CudaLowerContext::kernel(std::string_view source, const std::string& function) const {
  return device_->kernel(source, function);
}

std::shared_ptr<const std::byte> CudaLowerContext::weights(
    const Tensor& source, const std::string& key, std::size_t bytes,
    const std::function<void(std::byte*)>& fill) const {
  return cache().keep(source, "cuda:" + key, bytes, [&] {
    const AlignedBytes host = allocate_aligned(bytes);
    fill(host.get());
    return device_->upload(host.get(), bytes);
  });
}

int CudaLowerContext::fault(const std::string& message) const {
  return device_->fault_code(where() + message);
}

}  // namespace cuda

std::shared_ptr<Backend> open_backend(const DeviceChoice& choice) {
  const int ordinal = cuda::ordinal_of(choice.device);
  return std::make_shared<cuda::CudaBackend>(cuda::Device::open(ordinal, choice.folders),
                                             choice.precision);
}

}  // namespace lanewise
