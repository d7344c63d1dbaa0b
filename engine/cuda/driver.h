// The functions of the CUDA driver API that this backend calls, declared here so that building
// needs no CUDA. Names and numbers are NVIDIA's; 0 is success everywhere.
#pragma once

#include <cstddef>

#include "engine/cuda/library.h"

namespace lanewise::cuda {

using DevicePointer = unsigned long long;

// Results that get an answer of their own.
inline constexpr int kOutOfMemory = 2;
inline constexpr int kNoDevice = 100;
inline constexpr int kInvalidDevice = 101;

inline constexpr int kComputeCapabilityMajor = 75;  // CUdevice_attribute
inline constexpr int kComputeCapabilityMinor = 76;
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr int kCaptureThreadLocal = 1;

struct Driver {
  explicit Driver(const Library& library);

  int (*init)(unsigned flags);
  int (*driver_version)(int* version);
  int (*device_count)(int* count);
  int (*device_get)(int* device, int ordinal);
  int (*device_name)(char* name, int length, int device);
  int (*device_attribute)(int* value, int attribute, int device);
  int (*error_name)(int error, const char** name);
  int (*error_string)(int error, const char** text);
  int (*context_retain)(void** context, int device);
  int (*context_push)(void* context);
  int (*context_pop)(void** context);
  int (*memory_info)(std::size_t* free, std::size_t* total);
  int (*allocate)(DevicePointer* pointer, std::size_t bytes);
  int (*release)(DevicePointer pointer);
  int (*allocate_host)(void** pointer, std::size_t bytes, unsigned flags);
  int (*release_host)(void* pointer);
  int (*copy_in)(DevicePointer to, const void* from, std::size_t bytes);
  int (*copy_in_async)(DevicePointer to, const void* from, std::size_t bytes, void* stream);
  int (*copy_out_async)(void* to, DevicePointer from, std::size_t bytes, void* stream);
  int (*set_async)(DevicePointer to, unsigned char value, std::size_t bytes, void* stream);
  int (*stream_create)(void** stream, unsigned flags);
  int (*stream_destroy)(void* stream);
  int (*stream_wait)(void* stream);
  int (*capture_begin)(void* stream, int mode);
  int (*capture_end)(void* stream, void** graph);
  int (*graph_instantiate)(void** executable, void* graph, unsigned long long flags);
  int (*graph_launch)(void* executable, void* stream);
  int (*graph_destroy)(void* graph);
  int (*graph_executable_destroy)(void* executable);
  int (*module_load)(void** module, const void* image);
  int (*module_function)(void** function, void* module, const char* name);
  int (*launch)(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream,
                void** arguments, void** extra);

  // "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
  std::string text(int result) const;
  // Throws DeviceError: "<doing>: <text>; <what to do>".
  void check(int result, const char* doing) const;
};

LibraryWanted driver_wanted();

}  // namespace lanewise::cuda
