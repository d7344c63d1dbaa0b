// The typed errors of the library. Every message names the place, what was expected, what was
// found and what to do; Python sees each class as an exception of the same name.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lanewise {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The file or its graph is broken: not ONNX, truncated, cyclic, inconsistent.
class ModelError : public Error {
 public:
  using Error::Error;
};

// The model is valid, and this build cannot run it. `ops` lists every unsupported thing at once.
class UnsupportedError : public Error {
 public:
  UnsupportedError(const std::string& message, std::vector<std::string> unsupported)
      : Error(message), ops(std::move(unsupported)) {}
  std::vector<std::string> ops;
};

// An array or option given by the caller does not fit.
class InputError : public Error {
 public:
  InputError(const std::string& message, std::string input_name, std::string expected_form,
             std::string got_form)
      : Error(message),
        name(std::move(input_name)),
        expected(std::move(expected_form)),
        got(std::move(got_form)) {}
  std::string name, expected, got;
};

// Memory, time or another limit does not suffice.
class ResourceError : public Error {
 public:
  using Error::Error;
};

// The requested device, or a feature of it, is not there.
class DeviceError : public Error {
 public:
  using Error::Error;
};

}  // namespace lanewise
