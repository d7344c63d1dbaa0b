// What the stand-ins for NVIDIA's libraries share: memory, streams, what tests ask for and what was
// done wrong. All four libraries are one shared object under four names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace standin {

// One piece of enqueued work; returns the driver's result.
using Work = std::function<int()>;

struct Graph {
  std::vector<Work> work;
};

// Work waits until somebody waits for the stream: what is read too early is then not there yet.
struct Stream {
  std::vector<Work> queue;
  std::unique_ptr<Graph> capturing;
};

struct State {
  std::mutex mutex;
  std::map<std::uintptr_t, std::size_t> device, pinned;  // address to size
  std::set<std::uintptr_t> freed;                        // addresses that were device memory
  std::set<void*> streams, graphs, executables, handles, descriptors;
  std::map<std::string, long long> settings;  // see set_standin
  std::map<std::string, long long> counts;
  std::vector<std::string> errors;  // misuse, in words
};

State& state();

// A setting of the test, or `fallback`.
long long setting(const char* name, long long fallback);
void count(const char* name, long long by = 1);
// Records misuse; returns CUDA_ERROR_INVALID_VALUE.
int misuse(const std::string& what);
// The result that a call must give because the test wants the device lost, else 0.
int lost();

// Descriptions that a library makes and destroys for its caller.
template <class T>
int make(void** result, T value = {}) {
  const std::lock_guard lock(state().mutex);
  *result = new T(value);
  state().descriptors.insert(*result);
  return 0;
}
template <class T>
int drop(void* object) {
  const std::lock_guard lock(state().mutex);
  if (state().descriptors.erase(object) == 0) return misuse("a description destroyed twice");
  delete static_cast<T*>(object);
  return 0;
}

// Whether [pointer, pointer + bytes) lies in one live block.
bool on_device(const void* pointer, std::size_t bytes);
bool in_pinned(const void* pointer, std::size_t bytes);

// Queues or captures work on a stream.
int enqueue(void* stream, Work work);

float half_value(std::uint16_t bits);
std::uint16_t half_bits(float value);
float bfloat_value(std::uint16_t bits);
std::uint16_t bfloat_bits(float value);

// Element i of an array of type: 0 float32, 2 float16, 3 bfloat16.
enum class Type { kFloat32, kFloat16, kBFloat16 };
std::size_t size_of(Type type);
float load(const void* array, std::int64_t i, Type type);
void store(void* array, std::int64_t i, Type type, float value);

}  // namespace standin
