// A GPU: its libraries, context, memory and compiled functions. Opened once and never closed, since
// the driver may be gone before the last model is; shared by all models of a process.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cuda/cublaslt.h"
#include "engine/cuda/cudnn.h"
#include "engine/cuda/driver.h"
#include "engine/cuda/kernel.h"
#include "engine/cuda/nvrtc.h"

namespace lanewise::cuda {

struct Libraries {
  // Opens all four. Throws one DeviceError that reports every library that is not there.
  explicit Libraries(const std::vector<std::string>& folders);

  Driver driver;
  Nvrtc nvrtc;
  CublasLt cublaslt;
  Cudnn cudnn;

 private:
  struct Handles {
    Library driver, nvrtc, cublaslt, cudnn;
  };
  static Handles open(const std::vector<std::string>& folders);
  explicit Libraries(const Handles& handles);
};

// Safe from several threads.
class Device {
 public:
  // The device of that number, opened on the first call. Throws DeviceError.
  static std::shared_ptr<Device> open(int ordinal, const std::vector<std::string>& folders);

  const Driver& driver() const { return libraries_.driver; }
  const CublasLt& cublaslt() const { return libraries_.cublaslt; }
  const Cudnn& cudnn() const { return libraries_.cudnn; }
  void* cublaslt_handle() const { return cublaslt_handle_; }
  // For choosing algorithms while a plan is made; one thread at a time holds `planning()`.
  void* cudnn_handle() const { return cudnn_handle_; }
  std::mutex& planning() { return planning_; }
  int ordinal() const { return ordinal_; }
  const std::string& name() const { return name_; }
  int architecture() const { return architecture_; }  // 90 for sm_90

  // The device's context is the thread's while this lives. Throws DeviceError in a forked child.
  class Entered {
   public:
    explicit Entered(const Device& device);
    ~Entered();
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

   private:
    const Device& device_;
  };

  // Memory on the device, on the host for copies. Throws ResourceError saying how much there is.
  std::shared_ptr<std::byte> allocate(std::size_t bytes);
  std::shared_ptr<std::byte> allocate_staging(std::size_t bytes);
  // A copy of host memory on the device.
  std::shared_ptr<const std::byte> upload(const void* data, std::size_t bytes);

  // A function of engine/cuda/kernels/<source>.cu; compiled when it is first asked for.
  Kernel kernel(std::string_view source, const std::string& function);

  // Codes for messages of faults, from 1, and back.
  int fault_code(const std::string& message);
  std::string fault_message(int code) const;

 private:
  Device(int ordinal, const std::vector<std::string>& folders);
  [[noreturn]] void refuse_memory(std::size_t bytes, const char* where, int result) const;
  void give_back(const std::function<void()>& release) const noexcept;
  void* module_of(std::string_view source);

  Libraries libraries_;
  int ordinal_;
  int process_;  // that opened it: contexts do not survive a fork
  std::string name_;
  int architecture_ = 0;
  void* context_ = nullptr;
  void* cublaslt_handle_ = nullptr;
  void* cudnn_handle_ = nullptr;
  std::mutex planning_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, void*, std::less<>> modules_;
  std::vector<std::string> faults_;
};

}  // namespace lanewise::cuda
