// The shared state, and the functions by which tests set and read it.
#include "tests/cuda/standin/state.h"

#include <cstring>

#include "engine/base/half.h"

namespace standin {

State& state() {
  static auto& instance = *new State;
  return instance;
}

long long setting(const char* name, long long fallback) {
  const auto& settings = state().settings;
  const auto it = settings.find(name);
  return it == settings.end() ? fallback : it->second;
}

void count(const char* name, long long by) { state().counts[name] += by; }

int misuse(const std::string& what) {
  state().errors.push_back(what);
  return 1;
}

int lost() {
  // "lose_after": so many more waits succeed.
  const auto it = state().settings.find("lose_after");
  if (it == state().settings.end()) return 0;
  if (it->second > 0) {
    --it->second;
    return 0;
  }
  return 700;
}

namespace {

bool inside(const std::map<std::uintptr_t, std::size_t>& blocks, const void* pointer,
            std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  auto it = blocks.upper_bound(address);
  if (it == blocks.begin()) return false;
  --it;
  return address + bytes <= it->first + it->second;
}

}  // namespace

bool on_device(const void* pointer, std::size_t bytes) {
  return inside(state().device, pointer, bytes);
}
bool in_pinned(const void* pointer, std::size_t bytes) {
  return inside(state().pinned, pointer, bytes);
}

int enqueue(void* stream, Work work) {
  const std::lock_guard lock(state().mutex);
  if (!state().streams.contains(stream)) return misuse("work on a stream that does not exist");
  auto* s = static_cast<Stream*>(stream);
  (s->capturing != nullptr ? s->capturing->work : s->queue).push_back(std::move(work));
  return 0;
}

float half_value(std::uint16_t bits) { return lanewise::half_to_float(bits); }
std::uint16_t half_bits(float value) { return lanewise::float_to_half(value); }
float bfloat_value(std::uint16_t bits) { return lanewise::bfloat_to_float(bits); }
std::uint16_t bfloat_bits(float value) { return lanewise::float_to_bfloat(value); }

std::size_t size_of(Type type) { return type == Type::kFloat32 ? 4 : 2; }

float load(const void* array, std::int64_t i, Type type) {
  if (type == Type::kFloat32) return static_cast<const float*>(array)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(array)[i];
  return type == Type::kFloat16 ? half_value(bits) : bfloat_value(bits);
}

void store(void* array, std::int64_t i, Type type, float value) {
  if (type == Type::kFloat32) {
    static_cast<float*>(array)[i] = value;
  } else {
    static_cast<std::uint16_t*>(array)[i] =
        type == Type::kFloat16 ? half_bits(value) : bfloat_bits(value);
  }
}

}  // namespace standin

// For tests, by ctypes. Settings: "devices", "architecture", "memory" (bytes on the device),
// "lose_after", "refuse_capture", "refuse_fused", "refuse_convolution", "refuse_products".
extern "C" {

void set_standin(const char* name, long long value) {
  const std::lock_guard lock(standin::state().mutex);
  standin::state().settings[name] = value;
}

void reset_standin() {
  const std::lock_guard lock(standin::state().mutex);
  standin::state().settings.clear();
  standin::state().counts.clear();
  standin::state().errors.clear();
}

// A counter, or of what is alive: "live_bytes", "live_blocks", "live_pinned", "live_streams",
// "live_graphs", "live_handles", "live_descriptors".
long long read_standin(const char* name) {
  const std::lock_guard lock(standin::state().mutex);
  standin::State& s = standin::state();
  const std::string wanted = name;
  std::size_t bytes = 0;
  for (const auto& [address, size] : s.device) bytes += size;
  const std::map<std::string, std::size_t> alive = {
      {"live_bytes", bytes},
      {"live_blocks", s.device.size()},
      {"live_pinned", s.pinned.size()},
      {"live_streams", s.streams.size()},
      {"live_graphs", s.graphs.size() + s.executables.size()},
      {"live_handles", s.handles.size()},
      {"live_descriptors", s.descriptors.size()},
  };
  const auto it = alive.find(wanted);
  return it == alive.end() ? s.counts[wanted] : static_cast<long long>(it->second);
}

// The misuse that was seen, a line each.
std::size_t misuse_of_standin(char* text, std::size_t size) {
  const std::lock_guard lock(standin::state().mutex);
  std::string all;
  for (const std::string& line : standin::state().errors) all += line + "\n";
  std::strncpy(text, all.c_str(), size - 1);
  text[size - 1] = '\0';
  return all.size();
}

}  // extern "C"
