// Shared libraries that are opened when a device is asked for, and the report of those that are
// not there. What is called in them is in driver.h, nvrtc.h, cublaslt.h and cudnn.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lanewise::cuda {

struct LibraryWanted {
  std::string_view what;           // "the CUDA driver"
  std::vector<std::string> names;  // of the file, newest first
  std::string_view advice;         // how to get it
};

// An open library; it stays open for the life of the process, since code in it may run until the
// end.
class Library {
 public:
  Library() = default;
  // Looks in each folder for each name, then lets the system's loader look. When nothing opens,
  // the result is not open, and `report` gets a line that says what was tried.
  static Library open(const LibraryWanted& wanted, const std::vector<std::string>& folders,
                      std::string& report);

  bool is_open() const { return handle_ != nullptr; }
  // Throws DeviceError naming the symbol and the file.
  template <class F>
  void bind(const char* symbol, F*& function) const {
    function = reinterpret_cast<F*>(find(symbol));
  }

 private:
  void* find(const char* symbol) const;

  void* handle_ = nullptr;
  std::string path_;
};

}  // namespace lanewise::cuda
