// The stand-in for libcuda: device memory is the host's, kernels are the emulated ones.
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/cuda/emulation.h"
#include "tests/cuda/standin/state.h"

namespace {

using namespace standin;
using Locked = std::lock_guard<std::mutex>;

constexpr int kInvalid = 1, kOutOfMemory = 2, kNoDevice = 100, kNotFound = 500;

thread_local int contexts = 0;  // entered by this thread
int retained = 0;

int need_context(const char* call) {
  return contexts > 0 ? 0 : misuse(std::string(call) + " without a context");
}

void* host(unsigned long long pointer) { return reinterpret_cast<void*>(pointer); }

std::size_t device_bytes() {
  std::size_t bytes = 0;
  for (const auto& [address, size] : state().device) bytes += size;
  return bytes;
}

long long memory() { return setting("memory", 1LL << 34); }

// Takes a stream's queue out and does it.
int drain(void* stream) {
  std::vector<Work> queue;
  {
    const Locked lock(state().mutex);
    if (!state().streams.contains(stream)) return misuse("waiting for a stream that is gone");
    auto* s = static_cast<Stream*>(stream);
    if (s->capturing != nullptr) return misuse("waiting for a stream that is being captured");
    queue.swap(s->queue);
    if (const int result = lost(); result != 0) return result;
  }
  for (const Work& work : queue) {
    if (const int result = work(); result != 0) return result;
  }
  return 0;
}

int checked_copy(void* to, const void* from, std::size_t bytes, bool in) {
  {
    const Locked lock(state().mutex);
    if (!on_device(in ? to : from, bytes)) return misuse("a copy outside device memory");
    if (!in_pinned(in ? from : to, bytes)) return misuse("an asynchronous copy of unpinned memory");
  }
  std::memcpy(to, from, bytes);
  return 0;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default"))) int

EXPORT cuInit(unsigned) { return setting("devices", 1) == 0 ? kNoDevice : 0; }
EXPORT cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}
EXPORT cuDeviceGetCount(int* count) {
  *count = static_cast<int>(setting("devices", 1));
  return 0;
}
EXPORT cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}
EXPORT cuDeviceGetName(char* name, int length, int) {
  std::strncpy(name, "Stand-in GPU", static_cast<std::size_t>(length));
  return 0;
}
EXPORT cuDeviceGetAttribute(int* value, int attribute, int) {
  const int architecture = static_cast<int>(setting("architecture", 90));
  *value = attribute == 75 ? architecture / 10 : architecture % 10;
  return attribute == 75 || attribute == 76 ? 0 : kInvalid;
}
EXPORT cuGetErrorName(int error, const char** name) {
  *name = error == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == 700        ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                : "CUDA_ERROR_INVALID_VALUE";
  return 0;
}
EXPORT cuGetErrorString(int error, const char** text) {
  *text = error == kOutOfMemory ? "out of memory" : "stand-in error";
  return 0;
}
EXPORT cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &retained;
  ++retained;
  return 0;
}
EXPORT cuCtxPushCurrent_v2(void* context) {
  if (context != &retained) return misuse("entering a context that does not exist");
  ++contexts;
  return 0;
}
EXPORT cuCtxPopCurrent_v2(void** context) {
  if (contexts == 0) return misuse("leaving a context that was not entered");
  --contexts;
  *context = &retained;
  return 0;
}
EXPORT cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  const Locked lock(state().mutex);
  *total = static_cast<std::size_t>(memory());
  *free = *total - device_bytes();
  return 0;
}

EXPORT cuMemAlloc_v2(unsigned long long* pointer, std::size_t bytes) {
  const Locked lock(state().mutex);
  if (const int result = need_context("cuMemAlloc"); result != 0) return result;
  if (bytes == 0) return misuse("allocating nothing");
  if (device_bytes() + bytes > static_cast<std::size_t>(memory())) return kOutOfMemory;
  // Filled, so that what reads memory before it is written does not find zeros.
  void* block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(block, 0xff, bytes);
  state().device[reinterpret_cast<std::uintptr_t>(block)] = bytes;
  state().freed.erase(reinterpret_cast<std::uintptr_t>(block));
  *pointer = reinterpret_cast<unsigned long long>(block);
  count("allocations");
  return 0;
}
EXPORT cuMemFree_v2(unsigned long long pointer) {
  const Locked lock(state().mutex);
  if (const int result = need_context("cuMemFree"); result != 0) return result;
  if (state().device.erase(pointer) == 0) {
    return misuse(state().freed.contains(pointer) ? "device memory freed twice"
                                                  : "freeing what is no device memory");
  }
  state().freed.insert(pointer);
  std::free(host(pointer));
  return 0;
}
EXPORT cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  const Locked lock(state().mutex);
  if (const int result = need_context("cuMemHostAlloc"); result != 0) return result;
  *pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*pointer, 0xff, bytes);
  state().pinned[reinterpret_cast<std::uintptr_t>(*pointer)] = bytes;
  return 0;
}
EXPORT cuMemFreeHost(void* pointer) {
  const Locked lock(state().mutex);
  if (state().pinned.erase(reinterpret_cast<std::uintptr_t>(pointer)) == 0)
    return misuse("pinned memory freed twice");
  std::free(pointer);
  return 0;
}

EXPORT cuMemcpyHtoD_v2(unsigned long long to, const void* from, std::size_t bytes) {
  const Locked lock(state().mutex);
  if (const int result = need_context("cuMemcpyHtoD"); result != 0) return result;
  if (!on_device(host(to), bytes)) return misuse("a copy outside device memory");
  std::memcpy(host(to), from, bytes);
  count("uploads");
  return 0;
}
EXPORT cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, std::size_t bytes,
                            void* stream) {
  count("copies_in");
  return enqueue(stream, [=] { return checked_copy(host(to), from, bytes, true); });
}
EXPORT cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, std::size_t bytes, void* stream) {
  count("copies_out");
  return enqueue(stream, [=] { return checked_copy(to, host(from), bytes, false); });
}
EXPORT cuMemsetD8Async(unsigned long long to, unsigned char value, std::size_t bytes,
                       void* stream) {
  return enqueue(stream, [=]() -> int {
    {
      const Locked lock(state().mutex);
      if (!on_device(host(to), bytes)) return misuse("filling outside device memory");
    }
    std::memset(host(to), value, bytes);
    return 0;
  });
}

EXPORT cuStreamCreate(void** stream, unsigned) {
  const Locked lock(state().mutex);
  if (const int result = need_context("cuStreamCreate"); result != 0) return result;
  *stream = new Stream;
  state().streams.insert(*stream);
  return 0;
}
EXPORT cuStreamDestroy_v2(void* stream) {
  const Locked lock(state().mutex);
  if (state().streams.erase(stream) == 0) return misuse("a stream destroyed twice");
  delete static_cast<Stream*>(stream);
  return 0;
}
EXPORT cuStreamSynchronize(void* stream) { return drain(stream); }

EXPORT cuStreamBeginCapture_v2(void* stream, int) {
  const Locked lock(state().mutex);
  if (!state().streams.contains(stream)) return misuse("capturing a stream that does not exist");
  auto& capturing = static_cast<Stream*>(stream)->capturing;
  if (capturing != nullptr) return misuse("capturing a stream twice");
  capturing = std::make_unique<Graph>();
  return 0;
}
EXPORT cuStreamEndCapture(void* stream, void** graph) {
  const Locked lock(state().mutex);
  auto& capturing = static_cast<Stream*>(stream)->capturing;
  if (capturing == nullptr) return misuse("ending a capture that was not begun");
  *graph = nullptr;
  if (setting("refuse_capture", 0) != 0) {
    capturing = nullptr;
    return 901;
  }
  *graph = capturing.release();
  state().graphs.insert(*graph);
  return 0;
}
EXPORT cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
  const Locked lock(state().mutex);
  if (!state().graphs.contains(graph)) return misuse("making a graph ready that does not exist");
  *executable = new Graph(*static_cast<Graph*>(graph));
  state().executables.insert(*executable);
  return 0;
}
EXPORT cuGraphLaunch(void* executable, void* stream) {
  count("graph_launches");
  return enqueue(stream, [=]() -> int {
    {
      const Locked lock(state().mutex);
      if (!state().executables.contains(executable)) return misuse("playing a graph that is gone");
    }
    for (const Work& work : static_cast<Graph*>(executable)->work) {
      if (const int result = work(); result != 0) return result;
    }
    return 0;
  });
}
EXPORT cuGraphDestroy(void* graph) {
  const Locked lock(state().mutex);
  if (state().graphs.erase(graph) == 0) return misuse("a graph destroyed twice");
  delete static_cast<Graph*>(graph);
  return 0;
}
EXPORT cuGraphExecDestroy(void* executable) {
  const Locked lock(state().mutex);
  if (state().executables.erase(executable) == 0) return misuse("a ready graph destroyed twice");
  delete static_cast<Graph*>(executable);
  return 0;
}

// The image is a source's text, as the stand-in for NVRTC leaves it.
EXPORT cuModuleLoadData(void** module, const void* image) {
  const Locked lock(state().mutex);
  if (const int result = need_context("cuModuleLoadData"); result != 0) return result;
  *module = new std::string(static_cast<const char*>(image));
  count("modules");
  return 0;
}
EXPORT cuModuleGetFunction(void** function, void* module, const char* name) {
  const auto& source = *static_cast<std::string*>(module);
  *function = reinterpret_cast<void*>(lanewise::emulation::find_kernel(name));
  if (*function == nullptr) return kNotFound;
  return source.empty() ? kNotFound : 0;
}
EXPORT cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                      void* stream, void** arguments, void**) {
  const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
  const bool fits = grid_x > 0 && grid_y > 0 && grid_z > 0 && grid_y < 65536 && grid_z < 65536 &&
                    block_x > 0 && block_y > 0 && block_z > 0 && block_z <= 64 &&
                    block_x * block_y * block_z <= 1024 && shared_bytes <= 48 << 10;
  if (!fits) {
    const Locked lock(state().mutex);
    return misuse("a launch of a size that no device takes");
  }
  count("launches");
  const auto bind = reinterpret_cast<lanewise::emulation::Bind>(function);
  return enqueue(stream, [run = bind(grid, block, shared_bytes, arguments)] {
    run();
    return 0;
  });
}
