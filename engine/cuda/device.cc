// Opening a GPU, its memory, its modules.
#include "engine/cuda/device.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/base/error.h"
#include "engine/cuda/sources.h"

namespace lanewise::cuda {
namespace {

constexpr int kLeastArchitecture = 75;  // Turing: the oldest that CUDA 13 compiles for

std::string mebibytes(std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Libraries::Handles Libraries::open(const std::vector<std::string>& folders) {
  std::string report;
  Handles handles;
  handles.driver = Library::open(driver_wanted(), folders, report);
  handles.nvrtc = Library::open(nvrtc_wanted(), folders, report);
  handles.cublaslt = Library::open(cublaslt_wanted(), folders, report);
  handles.cudnn = Library::open(cudnn_wanted(), folders, report);
  if (report.empty()) return handles;
  throw DeviceError("device 'cuda' cannot be used, because libraries were not found:" + report +
                    "\n  Or load the model with device='cpu'.");
}

Libraries::Libraries(const Handles& handles)
    : driver(handles.driver),
      nvrtc(handles.nvrtc),
      cublaslt(handles.cublaslt),
      cudnn(handles.cudnn) {}

Libraries::Libraries(const std::vector<std::string>& folders) : Libraries(open(folders)) {}

std::shared_ptr<Device> Device::open(int ordinal, const std::vector<std::string>& folders) {
  using Key = std::pair<int, std::vector<std::string>>;
  static std::mutex mutex;
  // Never destroyed: see the head of device.h.
  static auto& devices = *new std::map<Key, std::shared_ptr<Device>>;
  const std::lock_guard lock(mutex);
  auto& device = devices[{ordinal, folders}];
  if (device == nullptr) device.reset(new Device(ordinal, folders));
  return device;
}

Device::Device(int ordinal, const std::vector<std::string>& folders)
    : libraries_(folders), ordinal_(ordinal), process_(getpid()) {
  const Driver& d = driver();
  int result = d.init(0), count = 0;
  if (result == 0) result = d.device_count(&count);
  if (result == kNoDevice || (result == 0 && count == 0)) {
    throw DeviceError(
        "device 'cuda': the CUDA driver is there and finds no GPU; check that one is visible "
        "(nvidia-smi, and the environment variable CUDA_VISIBLE_DEVICES), or load the model with "
        "device='cpu'");
  }
  d.check(result, "starting the CUDA driver");
  if (ordinal >= count) {
    throw DeviceError("device 'cuda:" + std::to_string(ordinal) + "': there are " +
                      std::to_string(count) + " GPUs, numbered from 0");
  }
  int device = 0, major = 0, minor = 0;
  d.check(d.device_get(&device, ordinal), "finding the device");
  char name[256] = {};
  d.check(d.device_name(name, sizeof(name) - 1, device), "naming the device");
  name_ = name;
  d.check(d.device_attribute(&major, kComputeCapabilityMajor, device), "asking for its kind");
  d.check(d.device_attribute(&minor, kComputeCapabilityMinor, device), "asking for its kind");
  architecture_ = 10 * major + minor;
  if (architecture_ < kLeastArchitecture) {
    throw DeviceError("device 'cuda:" + std::to_string(ordinal) + "' (" + name_ +
                      ") is of architecture sm_" + std::to_string(architecture_) +
                      ", expected sm_" + std::to_string(kLeastArchitecture) +
                      " (Turing, 2018) or newer; load the model with device='cpu'");
  }
  result = d.context_retain(&context_, device);
  if (result == kOutOfMemory) refuse_memory(0, "on the device", result);
  d.check(result, "opening the device");
  const Entered entered(*this);
  cublaslt().check(cublaslt().create(&cublaslt_handle_), "starting");
  cudnn().check(cudnn().create(&cudnn_handle_), "starting");
}

Device::Entered::Entered(const Device& device) : device_(device) {
  if (getpid() != device.process_) {
    throw DeviceError(
        "device 'cuda': this process was forked from one that used the GPU, and CUDA does not "
        "survive a fork; load the model in the child, from a parent that has not used the GPU, or "
        "start children with the method 'spawn'");
  }
  device.driver().check(device.driver().context_push(device.context_), "entering the device");
}

Device::Entered::~Entered() {
  void* left = nullptr;
  (void)device_.driver().context_pop(&left);
}

void Device::refuse_memory(std::size_t bytes, const char* where, int result) const {
  std::size_t free = 0, total = 0;
  (void)driver().memory_info(&free, &total);
  throw ResourceError("device 'cuda:" + std::to_string(ordinal_) + "' (" + name_ +
                      "): " + mebibytes(bytes) + " " + where + " cannot be had, " +
                      mebibytes(free) + " of " + mebibytes(total) + " on the device are free (" +
                      driver().text(result) +
                      "); use a smaller batch or smaller inputs, drop other models, or end other "
                      "programs that use the GPU");
}

void Device::give_back(const std::function<void()>& release) const noexcept {
  try {
    const Entered entered(*this);
    release();
  } catch (const DeviceError&) {
    // A forked child, whose parent owns the memory, or a lost device, which has none.
  }
}

std::shared_ptr<std::byte> Device::allocate(std::size_t bytes) {
  const Entered entered(*this);
  DevicePointer pointer = 0;
  const int result = driver().allocate(&pointer, std::max<std::size_t>(bytes, 1));
  if (result == kOutOfMemory) refuse_memory(bytes, "on the device", result);
  driver().check(result, "allocating memory on the device");
  return {reinterpret_cast<std::byte*>(pointer), [this](std::byte* memory) {
            give_back([&] { driver().release(reinterpret_cast<DevicePointer>(memory)); });
          }};
}

std::shared_ptr<std::byte> Device::allocate_staging(std::size_t bytes) {
  const Entered entered(*this);
  void* pointer = nullptr;
  const int result = driver().allocate_host(&pointer, std::max<std::size_t>(bytes, 1), 0);
  if (result == kOutOfMemory) refuse_memory(bytes, "on the host, pinned,", result);
  driver().check(result, "allocating pinned memory");
  return {static_cast<std::byte*>(pointer),
          [this](std::byte* memory) { give_back([&] { driver().release_host(memory); }); }};
}

std::shared_ptr<const std::byte> Device::upload(const void* data, std::size_t bytes) {
  const std::shared_ptr<std::byte> memory = allocate(bytes);
  if (bytes == 0) return memory;
  const Entered entered(*this);
  driver().check(driver().copy_in(reinterpret_cast<DevicePointer>(memory.get()), data, bytes),
                 "copying weights to the device");
  return memory;
}

void* Device::module_of(std::string_view source) {
  const auto known = modules_.find(source);
  if (known != modules_.end()) return known->second;
  const auto text =
      std::find_if(kDeviceSources.begin(), kDeviceSources.end(),
                   [&](const DeviceSource& candidate) { return candidate.name == source; });
  const std::string code = libraries_.nvrtc.compile(source, text->text, architecture_);
  void* module = nullptr;
  driver().check(driver().module_load(&module, code.data()), "loading compiled functions");
  modules_.emplace(std::string(source), module);
  return module;
}

Kernel Device::kernel(std::string_view source, const std::string& function) {
  const Entered entered(*this);
  const std::lock_guard lock(mutex_);
  void* found = nullptr;
  driver().check(driver().module_function(&found, module_of(source), function.c_str()),
                 "finding a compiled function");
  return {&driver(), found};
}

int Device::fault_code(const std::string& message) {
  const std::lock_guard lock(mutex_);
  const auto known = std::find(faults_.begin(), faults_.end(), message);
  if (known != faults_.end()) return static_cast<int>(known - faults_.begin()) + 1;
  faults_.push_back(message);
  return static_cast<int>(faults_.size());
}

std::string Device::fault_message(int code) const {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(code - 1);
  return index < faults_.size() ? faults_[index] : "a step on the device found bad data";
}

void Kernel::enqueue(const Stream& stream, Dim3 grid, Dim3 block, unsigned shared_bytes,
                     void** arguments) const {
  driver_->check(driver_->launch(function_, grid.x, grid.y, grid.z, block.x, block.y, block.z,
                                 shared_bytes, stream.handle, arguments, nullptr),
                 "starting a step");
}

}  // namespace lanewise::cuda
