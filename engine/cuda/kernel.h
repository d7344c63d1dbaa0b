// A compiled device function and how a step launches it. Where it comes from is in device.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/graph/context.h"

namespace lanewise::cuda {

struct Driver;

// What RunContext::stream points to in a step of this backend.
struct Stream {
  void* handle = nullptr;  // CUstream
  int* fault = nullptr;    // on the device: 0, or a code of CudaLowerContext::fault
  void* cudnn = nullptr;   // cudnnHandle_t bound to the stream
};

inline const Stream& stream_of(const RunContext& run) {
  return *static_cast<const Stream*>(run.stream);
}
inline int* fault_of(const RunContext& run) { return stream_of(run).fault; }

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

// Blocks of `threads` so that each of `n` elements has a thread, at most `most`: kernels that may
// have fewer threads than elements loop with the grid's stride.
inline Dim3 blocks_for(std::int64_t n, int threads, std::int64_t most = 65535) {
  const std::int64_t blocks = (n + threads - 1) / threads;
  return {static_cast<unsigned>(std::clamp<std::int64_t>(blocks, 1, most))};
}

// Copies are the same function. It lives as long as the device, which is never closed.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Driver* driver, void* function) : driver_(driver), function_(function) {}

  // Enqueues the function. The types of `arguments` must be those of its parameters, exactly.
  // More than 48 KiB of shared memory is not to be had.
  template <class... Args>
  void launch(const RunContext& run, Dim3 grid, Dim3 block, unsigned shared_bytes,
              const Args&... arguments) const {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
    enqueue(stream_of(run), grid, block, shared_bytes, pointers);
  }

 private:
  void enqueue(const Stream& stream, Dim3 grid, Dim3 block, unsigned shared_bytes,
               void** arguments) const;

  const Driver* driver_ = nullptr;
  void* function_ = nullptr;
};

}  // namespace lanewise::cuda
