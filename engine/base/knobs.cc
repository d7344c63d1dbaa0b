// Reading and checking the environment.
#include "engine/base/knobs.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"

namespace lanewise {
namespace {

int parse_threads(std::string_view text) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value < 1 || value > 1024) {
    throw InputError(
        "environment variable LANEWISE_THREADS: expected a number from 1 to 1024, got '" +
            std::string(text) + "'; correct it or unset it",
        "LANEWISE_THREADS", "1..1024", std::string(text));
  }
  return value;
}

Knobs read() {
  Knobs result;
  if (const char* isa = std::getenv("LANEWISE_ISA")) result.isa = isa;
  if (const char* threads = std::getenv("LANEWISE_THREADS"))
    result.threads = parse_threads(threads);
  return result;
}

}  // namespace

const Knobs& knobs() {
  static const Knobs values = read();
  return values;
}

}  // namespace lanewise
