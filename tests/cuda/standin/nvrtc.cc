// The stand-in for NVRTC: a program's code is its text.
#include <cstddef>
#include <cstring>
#include <string>

#include "tests/cuda/standin/state.h"

#define EXPORT extern "C" __attribute__((visibility("default"))) int

EXPORT nvrtcCreateProgram(void** program, const char* source, const char*, int, const char* const*,
                          const char* const*) {
  *program = new std::string(source);
  return 0;
}
EXPORT nvrtcDestroyProgram(void** program) {
  delete static_cast<std::string*>(*program);
  *program = nullptr;
  return 0;
}
EXPORT nvrtcCompileProgram(void*, int count, const char* const* options) {
  const int wanted = static_cast<int>(standin::setting("architecture", 90));
  const std::string native = "--gpu-architecture=sm_" + std::to_string(wanted);
  const bool known = count > 0 && (native == options[0] ||
                                   std::string(options[0]).starts_with("--gpu-architecture=comp"));
  return known && standin::setting("refuse_sources", 0) == 0 ? 0 : 6;
}
EXPORT nvrtcGetProgramLogSize(void*, std::size_t* size) {
  *size = std::strlen("stand-in: refused") + 1;
  return 0;
}
EXPORT nvrtcGetProgramLog(void*, char* log) {
  std::strcpy(log, "stand-in: refused");
  return 0;
}
EXPORT nvrtcGetCUBINSize(void* program, std::size_t* size) {
  *size = static_cast<std::string*>(program)->size() + 1;
  return 0;
}
EXPORT nvrtcGetCUBIN(void* program, char* code) {
  std::strcpy(code, static_cast<std::string*>(program)->c_str());
  return 0;
}
EXPORT nvrtcGetPTXSize(void* program, std::size_t* size) {
  return nvrtcGetCUBINSize(program, size);
}
EXPORT nvrtcGetPTX(void* program, char* code) { return nvrtcGetCUBIN(program, code); }
EXPORT nvrtcGetNumSupportedArchs(int* count) {
  *count = 3;
  return 0;
}
EXPORT nvrtcGetSupportedArchs(int* list) {
  list[0] = 75;
  list[1] = 90;
  list[2] = 120;
  return 0;
}
