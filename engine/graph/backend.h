// The seam to a device that runs steps beside the CPU: what the runtime asks of it. engine/cuda is
// one. Which nodes go there is decided in engine/runtime/partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/graph/context.h"

namespace lanewise {

// What floats are on the device, and how their products are made. Sums are float32 always.
enum class Precision : std::uint8_t { kFloat32, kTf32, kFloat16, kBFloat16 };

struct DeviceChoice {
  std::string device;  // "cuda", "cuda:1"
  Precision precision = Precision::kFloat32;
  std::vector<std::string> folders;  // where libraries are looked for first
};

// What one run at a time works with: a queue, memory on the device, and host memory that copies go
// through. Their addresses stay. Used by one thread at a time, any one.
class DeviceFrame {
 public:
  virtual ~DeviceFrame() = default;

  virtual std::byte* arena() = 0;
  virtual std::byte* staging() = 0;
  virtual void* stream() = 0;  // RunContext::stream
  // Enqueues a copy; `host` lies in staging().
  virtual void copy_in(std::byte* device, const std::byte* host, std::size_t bytes) = 0;
  virtual void copy_out(std::byte* host, const std::byte* device, std::size_t bytes) = 0;
  // Enqueues what `enqueue` does: by calling it, or by playing what it enqueued under that index
  // in an earlier call. It must do the same each time.
  virtual void run(std::size_t index, const std::function<void()>& enqueue) = 0;
  // Returns when everything enqueued is done. Throws DeviceError when the device failed, ModelError
  // when a step found data that break its operator's contract.
  virtual void wait() = 0;
};

// A device as one model uses it. Safe from several threads.
class Backend {
 public:
  // A step, or the reason why the device does not run the node.
  using Lowered = std::variant<Step, std::string>;

  virtual ~Backend() = default;

  virtual std::string name() const = 0;  // "cuda:0"
  // The type of float32 values while they are on the device.
  virtual DType float_type() const = 0;
  // The context's infos are those of values on the device; contents are the host's, as the model
  // has them.
  virtual Lowered lower(const LowerContext& context) = 0;
  // Memory on the device with the content of a constant, as an array of `dtype`.
  virtual std::shared_ptr<const std::byte> upload(const Tensor& constant, DType dtype) = 0;
  // Throws ResourceError when the memory is not there.
  virtual std::unique_ptr<DeviceFrame> make_frame(std::size_t arena_bytes,
                                                  std::size_t staging_bytes) = 0;
};

// Opens the device. Throws DeviceError naming what was looked for, where, and what to do.
std::shared_ptr<Backend> open_backend(const DeviceChoice& choice);

}  // namespace lanewise
