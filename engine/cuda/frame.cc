// Enqueuing, capturing and waiting.
#include "engine/cuda/frame.h"

#include <cstring>
#include <utility>

#include "engine/base/error.h"

namespace lanewise::cuda {
namespace {

DevicePointer address(const std::byte* device) { return reinterpret_cast<DevicePointer>(device); }

}  // namespace

Frame::Frame(std::shared_ptr<Device> device, std::size_t arena_bytes, std::size_t staging_bytes)
    : device_(std::move(device)),
      arena_(device_->allocate(arena_bytes)),
      staging_(device_->allocate_staging(staging_bytes)),
      fault_(device_->allocate(sizeof(int))),
      fault_copy_(device_->allocate_staging(sizeof(int))) {
  const Device::Entered entered(*device_);
  const Driver& d = device_->driver();
  d.check(d.stream_create(&stream_.handle, kStreamNonBlocking), "making a stream");
  const Cudnn& dnn = device_->cudnn();
  int result = dnn.create(&stream_.cudnn);
  if (result == 0) result = dnn.set_stream(stream_.cudnn, stream_.handle);
  if (result != 0) {
    if (stream_.cudnn != nullptr) (void)dnn.destroy(stream_.cudnn);
    (void)d.stream_destroy(stream_.handle);
    dnn.check(result, "starting");
  }
  stream_.fault = reinterpret_cast<int*>(fault_.get());
}

Frame::~Frame() {
  try {
    const Device::Entered entered(*device_);
    const Driver& d = device_->driver();
    (void)d.stream_wait(stream_.handle);
    for (const auto& [index, recorded] : recorded_) {
      if (recorded.executable != nullptr) (void)d.graph_executable_destroy(recorded.executable);
    }
    (void)device_->cudnn().destroy(stream_.cudnn);
    (void)d.stream_destroy(stream_.handle);
  } catch (const DeviceError&) {
    // A lost device, or a forked child: there is nothing left to give back.
  }
}

void Frame::copy_in(std::byte* device, const std::byte* host, std::size_t bytes) {
  if (bytes == 0) return;
  const Driver& d = device_->driver();
  d.check(d.copy_in_async(address(device), host, bytes, stream_.handle), "copying to the device");
}

void Frame::copy_out(std::byte* host, const std::byte* device, std::size_t bytes) {
  if (bytes == 0) return;
  const Driver& d = device_->driver();
  d.check(d.copy_out_async(host, address(device), bytes, stream_.handle),
          "copying from the device");
}

void Frame::capture(Recorded& recorded, const std::function<void()>& enqueue) {
  const Driver& d = device_->driver();
  void* graph = nullptr;
  d.check(d.capture_begin(stream_.handle, kCaptureThreadLocal), "capturing a run");
  bool taken = true;
  try {
    enqueue();
  } catch (const DeviceError&) {
    taken = false;  // a library may refuse to be captured; it says so again when it is run plainly
  }
  taken = d.capture_end(stream_.handle, &graph) == 0 && taken && graph != nullptr;
  if (taken) taken = d.graph_instantiate(&recorded.executable, graph, 0) == 0;
  if (graph != nullptr) (void)d.graph_destroy(graph);
  if (!taken) recorded.executable = nullptr;
  recorded.refused = !taken;
}

void Frame::run(std::size_t index, const std::function<void()>& enqueue) {
  const Device::Entered entered(*device_);
  const Driver& d = device_->driver();
  Recorded& recorded = recorded_[index];
  ++recorded.runs;
  d.check(d.set_async(address(fault_.get()), 0, sizeof(int), stream_.handle), "clearing a flag");
  if (recorded.runs == 2 && !recorded.refused) capture(recorded, enqueue);
  if (recorded.executable != nullptr) {
    d.check(d.graph_launch(recorded.executable, stream_.handle), "playing a captured run");
  } else {
    enqueue();
  }
  copy_out(fault_copy_.get(), fault_.get(), sizeof(int));
}

void Frame::wait() {
  const Device::Entered entered(*device_);
  const Driver& d = device_->driver();
  d.check(d.stream_wait(stream_.handle), "waiting for the device");
  int fault = 0;
  std::memcpy(&fault, fault_copy_.get(), sizeof(fault));
  if (fault != 0) throw ModelError(device_->fault_message(fault));
}

}  // namespace lanewise::cuda
