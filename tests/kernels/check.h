// What kernel tests share: seeded draws of sizes and numbers, memory between guard pages, and
// comparisons. A case is one call of a kernel; its seed makes it again.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/base/cpu.h"

namespace lanewise::testing {

// Half an ulp of 1: the most that one rounding changes a float32 of size 1.
inline constexpr double kUnit = 0x1p-24;

// The bound on the relative error of k roundings in a row (Higham, Accuracy and Stability, 3.1).
inline double gamma(double k, double unit = kUnit) { return k * unit / (1.0 - k * unit); }

// A sum in float64, and the sum of sizes that bounds its rounding in lower precision.
struct Sum {
  double value = 0.0, size = 0.0;
  void add(double x) {
    value += x;
    size += std::fabs(x);
  }
};

class Case {
 public:
  Case(Isa isa, std::uint64_t seed);
  ~Case();
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  Isa isa() const { return isa_; }
  // In exact cases numbers are small integers, so that sums of them have no rounding at all.
  bool exact() const { return exact_; }

  // Uniform, both ends included.
  std::int64_t pick(std::int64_t low, std::int64_t high);
  bool flip() { return pick(0, 1) == 1; }
  // A size from `least` on: small, or next to a multiple of `unit`.
  std::int64_t size(std::int64_t unit, std::int64_t multiples, std::int64_t least = 1);
  double uniform(double low, double high);
  // In exact cases an integer of at most 4, else of [-1, 1).
  float number();

  // n elements that end, or begin, at a page that may not be touched; the rest of their own pages
  // is checked by `finish`. Arrays that were filled may not be written.
  template <class T>
  const T* filled(std::int64_t n, const std::function<T(std::int64_t)>& value) {
    T* data = room<T>(n);
    for (std::int64_t i = 0; i < n; ++i) data[i] = value(i);
    freeze();
    return data;
  }
  const float* floats(std::int64_t n) {
    return filled<float>(n, [this](std::int64_t) { return number(); });
  }
  // For results: every byte kUntouched.
  template <class T>
  T* room(std::int64_t n) {
    static_assert(std::is_trivially_copyable_v<T>);
    return reinterpret_cast<T*>(allocate(static_cast<std::size_t>(n) * sizeof(T)));
  }

  // Says what the case is: printed when it fails or crashes.
  [[gnu::format(printf, 2, 3)]] void describe(const char* format, ...);
  // Throws unless |got - want| <= bound, or both are the same infinity or NaN.
  void expect(double got, double want, double bound, const char* what, std::int64_t at = 0);
  template <class T>
  void expect_untouched(const T& element, const char* what, std::int64_t at) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &element, sizeof(T));
    for (const unsigned char byte : bytes) {
      if (byte != kUntouched) fail(std::string(what) + " was written", at);
    }
  }
  // Throws when something beside an array was written.
  void finish();

 private:
  static constexpr unsigned char kUntouched = 0xcd;
  struct Block {
    std::byte* pages = nullptr;  // with both guards
    std::size_t room = 0;        // bytes between the guards
    std::byte* data = nullptr;
    std::size_t bytes = 0;
  };

  std::byte* allocate(std::size_t bytes);
  void freeze();  // the newest block
  [[noreturn]] void fail(const std::string& text, std::int64_t at);

  Isa isa_;
  std::mt19937_64 random_;
  bool exact_ = false, at_end_ = false;
  std::vector<Block> blocks_;
};

// One row of the generated list: a kernel file and the test that has its name.
struct KernelTest {
  const char* name;
  Isa isas[5];
  int isa_count;
  void (*run)(Case&);
};

}  // namespace lanewise::testing
