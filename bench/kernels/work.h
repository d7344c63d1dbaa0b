// What kernel benches share: a piece of work that runs again and again, with its counts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/cpu.h"

namespace lanewise::bench {

// `run` must own what it reaches: a lambda that has pointers into an array captures the array, too.
struct Work {
  std::string name;  // what distinguishes it among the works of its kernel
  double flops = 0;  // of one run; 0 where bytes are what counts
  double bytes = 0;  // read and written by one run
  std::function<void()> run;
};

template <class T>
using Array = std::shared_ptr<std::vector<T>>;

// n small numbers, none of them zero.
template <class T>
Array<T> numbers(std::int64_t n) {
  auto array = std::make_shared<std::vector<T>>(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < array->size(); ++i) (*array)[i] = static_cast<T>(i % 7 + 1);
  return array;
}
inline Array<float> floats(std::int64_t n) {
  Array<float> array = numbers<float>(n);
  for (float& x : *array) x = (x - 4.5f) * 0.25f;
  return array;
}

// One row of the generated list.
struct KernelBench {
  const char* name;
  Isa isas[5];
  int isa_count;
  std::vector<Work> (*works)(Isa);
};

}  // namespace lanewise::bench
