// Compiling device sources.
#include "engine/cuda/nvrtc.h"

#include <algorithm>
#include <vector>

#include "engine/base/error.h"
#include "engine/cuda/sources.h"

namespace lanewise::cuda {
namespace {

bool is_header(const DeviceSource& source) { return source.name.find('.') != source.name.npos; }

}  // namespace

LibraryWanted nvrtc_wanted() {
  return {"the run-time compiler NVRTC",
          {"libnvrtc.so.13", "libnvrtc.so.12"},
          "pip install 'lanewise[cuda]', or install the CUDA toolkit"};
}

Nvrtc::Nvrtc(const Library& library) {
  library.bind("nvrtcCreateProgram", create_);
  library.bind("nvrtcDestroyProgram", destroy_);
  library.bind("nvrtcCompileProgram", compile_);
  library.bind("nvrtcGetProgramLogSize", log_size_);
  library.bind("nvrtcGetProgramLog", log_);
  library.bind("nvrtcGetCUBINSize", cubin_size_);
  library.bind("nvrtcGetCUBIN", cubin_);
  library.bind("nvrtcGetPTXSize", ptx_size_);
  library.bind("nvrtcGetPTX", ptx_);
  library.bind("nvrtcGetNumSupportedArchs", architectures_count_);
  library.bind("nvrtcGetSupportedArchs", architectures_);
}

int Nvrtc::newest_architecture() const {
  int count = 0;
  if (architectures_count_(&count) != 0 || count <= 0) return 0;
  std::vector<int> list(static_cast<std::size_t>(count));
  if (architectures_(list.data()) != 0) return 0;
  return *std::max_element(list.begin(), list.end());
}

std::string Nvrtc::log_of(void* program) const {
  std::size_t size = 0;
  if (log_size_(program, &size) != 0 || size < 2) return "no message";
  std::string log(size, '\0');
  (void)log_(program, log.data());
  log.resize(size - 1);
  return log;
}

std::string Nvrtc::compile(std::string_view name, std::string_view source, int architecture) const {
  std::vector<const char*> texts, names;
  for (const DeviceSource& header : kDeviceSources) {
    if (!is_header(header)) continue;
    texts.push_back(header.text.data());
    names.push_back(header.name.data());
  }
  // Machine code where the compiler knows the device, else code that the driver finishes.
  const int newest = newest_architecture();
  const bool native = newest == 0 || architecture <= newest;
  const std::string target = native ? "--gpu-architecture=sm_" + std::to_string(architecture)
                                    : "--gpu-architecture=compute_" + std::to_string(newest);
  const char* options[] = {target.c_str(), "--std=c++17"};
  void* program = nullptr;
  const std::string file = std::string(name) + ".cu";
  int result = create_(&program, std::string(source).c_str(), file.c_str(),
                       static_cast<int>(texts.size()), texts.data(), names.data());
  if (result == 0) result = compile_(program, 2, options);
  std::string code;
  std::size_t size = 0;
  if (result == 0) result = native ? cubin_size_(program, &size) : ptx_size_(program, &size);
  if (result == 0) {
    code.resize(size);
    result = native ? cubin_(program, code.data()) : ptx_(program, code.data());
  }
  const std::string log = result == 0 || program == nullptr ? "" : log_of(program);
  if (program != nullptr) (void)destroy_(&program);
  if (result != 0) {
    throw DeviceError("device 'cuda': compiling " + file + " for sm_" +
                      std::to_string(architecture) + " failed (NVRTC error " +
                      std::to_string(result) + "): " + log +
                      "; update NVRTC (pip install --upgrade 'lanewise[cuda]')");
  }
  return code;
}

}  // namespace lanewise::cuda
