// Binding the driver API.
#include "engine/cuda/driver.h"

#include "engine/base/error.h"

namespace lanewise::cuda {

LibraryWanted driver_wanted() {
  return {"the CUDA driver",
          {"libcuda.so.1"},
          "it comes with NVIDIA's display driver: install that (580 or later for CUDA 13) on a "
          "machine with an NVIDIA GPU, and in a container run with the GPU passed through"};
}

Driver::Driver(const Library& library) {
  library.bind("cuInit", init);
  library.bind("cuDriverGetVersion", driver_version);
  library.bind("cuDeviceGetCount", device_count);
  library.bind("cuDeviceGet", device_get);
  library.bind("cuDeviceGetName", device_name);
  library.bind("cuDeviceGetAttribute", device_attribute);
  library.bind("cuGetErrorName", error_name);
  library.bind("cuGetErrorString", error_string);
  library.bind("cuDevicePrimaryCtxRetain", context_retain);
  library.bind("cuCtxPushCurrent_v2", context_push);
  library.bind("cuCtxPopCurrent_v2", context_pop);
  library.bind("cuMemGetInfo_v2", memory_info);
  library.bind("cuMemAlloc_v2", allocate);
  library.bind("cuMemFree_v2", release);
  library.bind("cuMemHostAlloc", allocate_host);
  library.bind("cuMemFreeHost", release_host);
  library.bind("cuMemcpyHtoD_v2", copy_in);
  library.bind("cuMemcpyHtoDAsync_v2", copy_in_async);
  library.bind("cuMemcpyDtoHAsync_v2", copy_out_async);
  library.bind("cuMemsetD8Async", set_async);
  library.bind("cuStreamCreate", stream_create);
  library.bind("cuStreamDestroy_v2", stream_destroy);
  library.bind("cuStreamSynchronize", stream_wait);
  library.bind("cuStreamBeginCapture_v2", capture_begin);
  library.bind("cuStreamEndCapture", capture_end);
  library.bind("cuGraphInstantiateWithFlags", graph_instantiate);
  library.bind("cuGraphLaunch", graph_launch);
  library.bind("cuGraphDestroy", graph_destroy);
  library.bind("cuGraphExecDestroy", graph_executable_destroy);
  library.bind("cuModuleLoadData", module_load);
  library.bind("cuModuleGetFunction", module_function);
  library.bind("cuLaunchKernel", launch);
}

std::string Driver::text(int result) const {
  const char *name = nullptr, *string = nullptr;
  (void)error_name(result, &name);
  (void)error_string(result, &string);
  return (name == nullptr ? "CUDA error " + std::to_string(result) : std::string(name)) + " (" +
         (string == nullptr ? "unknown" : string) + ")";
}

void Driver::check(int result, const char* doing) const {
  if (result == 0) return;
  throw DeviceError("device 'cuda': " + std::string(doing) + ": " + text(result) +
                    "; if it happens again, look at the kernel log for messages of the NVIDIA "
                    "driver and start the process anew, or load the model with device='cpu'");
}

}  // namespace lanewise::cuda
