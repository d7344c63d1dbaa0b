// The search for shared libraries.
#include "engine/cuda/library.h"

#include <dlfcn.h>

#include <filesystem>

#include "engine/base/error.h"

namespace lanewise::cuda {

Library Library::open(const LibraryWanted& wanted, const std::vector<std::string>& folders,
                      std::string& report) {
  Library library;
  std::string failures;
  const auto attempt = [&](const std::string& path) {
    library.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    library.path_ = path;
    if (library.handle_ != nullptr) return true;
    const char* why = dlerror();
    failures += "\n    " + (why == nullptr ? path : std::string(why));
    return false;
  };
  for (const std::string& folder : folders) {
    for (const std::string& name : wanted.names) {
      const std::string path = folder + "/" + name;
      std::error_code ignored;
      if (std::filesystem::exists(path, ignored) && attempt(path)) return library;
    }
  }
  for (const std::string& name : wanted.names) {
    if (attempt(name)) return library;
  }
  report += "\n  " + std::string(wanted.what) + ": looked for";
  for (const std::string& name : wanted.names) report += " " + name;
  report += folders.empty() ? " where the system's loader looks" : " in";
  for (const std::string& folder : folders) report += " " + folder;
  if (!folders.empty()) report += " and where the system's loader looks";
  report += failures + "\n    " + std::string(wanted.advice);
  return library;
}

void* Library::find(const char* symbol) const {
  void* function = dlsym(handle_, symbol);
  if (function == nullptr) {
    throw DeviceError("device 'cuda': " + path_ + " has no function '" + symbol +
                      "'; it is too old or of another make: update it");
  }
  return function;
}

}  // namespace lanewise::cuda
