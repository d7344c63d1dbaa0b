// The run-time compiler of CUDA C++: the functions that this backend calls, declared here so that
// building needs no CUDA.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/cuda/library.h"

namespace lanewise::cuda {

class Nvrtc {
 public:
  explicit Nvrtc(const Library& library);

  // The machine code of a source for an architecture (90 for sm_90), or intermediate code where the
  // compiler is older than the device. Throws DeviceError with the compiler's messages, and for an
  // architecture that the sources are not written for.
  std::string compile(std::string_view name, std::string_view source, int architecture) const;

 private:
  std::string log_of(void* program) const;
  int newest_architecture() const;

  int (*create_)(void** program, const char* source, const char* name, int headers,
                 const char* const* header_texts, const char* const* header_names);
  int (*destroy_)(void** program);
  int (*compile_)(void* program, int count, const char* const* options);
  int (*log_size_)(void* program, std::size_t* size);
  int (*log_)(void* program, char* log);
  int (*cubin_size_)(void* program, std::size_t* size);
  int (*cubin_)(void* program, char* code);
  int (*ptx_size_)(void* program, std::size_t* size);
  int (*ptx_)(void* program, char* code);
  int (*architectures_count_)(int* count);
  int (*architectures_)(int* list);
};

LibraryWanted nvrtc_wanted();

}  // namespace lanewise::cuda
