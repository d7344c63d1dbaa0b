// Runs the tests of one kernel on one ISA.
// Usage: kernel_tests NAME ISA SEED CASES     runs cases SEED, SEED + 1, ...; 0 when all pass
//        kernel_tests list                    prints "NAME ISA" of each version built
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <span>
#include <string>

#include "tests/kernels/check.h"

namespace lanewise::testing {

extern char case_text[];
extern const std::span<const KernelTest> kKernels;

namespace {

char crash_text[256];

void on_crash(int) {
  // Only calls that are safe in a signal handler.
  for (const char* text :
       {static_cast<const char*>(crash_text), static_cast<const char*>(case_text),
        ": touched memory outside its arrays, or wrote an input\n"}) {
    if (write(STDOUT_FILENO, text, std::strlen(text)) < 0) _exit(3);
  }
  _exit(2);
}

bool run_cases(const KernelTest& test, Isa isa, std::uint64_t seed, std::uint64_t cases) {
  for (std::uint64_t i = seed; i < seed + cases; ++i) {
    std::snprintf(crash_text, sizeof(crash_text), "%s %s, seed %llu: ", test.name,
                  std::string(isa_name(isa)).c_str(), static_cast<unsigned long long>(i));
    try {
      Case c(isa, i);
      test.run(c);
      c.finish();
    } catch (const std::exception& error) {
      std::printf("%s%s: %s\n", crash_text, case_text, error.what());
      return false;
    }
  }
  return true;
}

int list() {
  for (const KernelTest& test : kKernels) {
    for (int i = 0; i < test.isa_count; ++i) {
      std::printf("%s %s\n", test.name, std::string(isa_name(test.isas[i])).c_str());
    }
  }
  return 0;
}

int run(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "list") == 0) return list();
  if (argc != 5) return std::puts("usage: kernel_tests NAME ISA SEED CASES"), 4;
  const Isa isa = parse_isa(argv[2]);
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL}) std::signal(signal, on_crash);
  for (const KernelTest& test : kKernels) {
    if (std::strcmp(test.name, argv[1]) != 0) continue;
    return run_cases(test, isa, std::strtoull(argv[3], nullptr, 10),
                     std::strtoull(argv[4], nullptr, 10))
               ? 0
               : 1;
  }
  return std::printf("there is no kernel '%s'\n", argv[1]), 4;
}

}  // namespace
}  // namespace lanewise::testing

int main(int argc, char** argv) {
  try {
    return lanewise::testing::run(argc, argv);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 4;
  }
}
