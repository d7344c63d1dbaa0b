// A run on a GPU: its stream, memory and captured graphs.
#pragma once

#include <map>
#include <memory>

#include "engine/cuda/device.h"
#include "engine/graph/backend.h"

namespace lanewise::cuda {

class Frame final : public DeviceFrame {
 public:
  Frame(std::shared_ptr<Device> device, std::size_t arena_bytes, std::size_t staging_bytes);
  ~Frame() override;

  std::byte* arena() override { return arena_.get(); }
  std::byte* staging() override { return staging_.get(); }
  void* stream() override { return &stream_; }
  void copy_in(std::byte* device, const std::byte* host, std::size_t bytes) override;
  void copy_out(std::byte* host, const std::byte* device, std::size_t bytes) override;
  void run(std::size_t index, const std::function<void()>& enqueue) override;
  void wait() override;

 private:
  // Where a stretch of steps stands: run once so that libraries have made what they make on a first
  // call, captured the second time, played from then on.
  struct Recorded {
    int runs = 0;
    void* executable = nullptr;
    bool refused = false;  // something in it cannot be captured
  };
  void capture(Recorded& recorded, const std::function<void()>& enqueue);

  std::shared_ptr<Device> device_;
  std::shared_ptr<std::byte> arena_, staging_;
  std::shared_ptr<std::byte> fault_, fault_copy_;
  Stream stream_;
  std::map<std::size_t, Recorded> recorded_;
};

}  // namespace lanewise::cuda
