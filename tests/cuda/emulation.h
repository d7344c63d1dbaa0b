// Kernels of engine/cuda/kernels by name, compiled for the CPU: what stands for a device in tests.
// How a block of threads runs on one thread is in emulation/block.cc.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace lanewise::emulation {

using Run = std::function<void()>;
// Copies the arguments, as a launch does; the result runs the whole grid. Runs of several threads
// at once do not disturb one another.
using Bind = Run (*)(const unsigned grid[3], const unsigned block[3], unsigned shared_bytes,
                     void** arguments);

// Null when there is none of that name.
Bind find_kernel(std::string_view name);
std::vector<std::string_view> kernel_names();

// Calls `thread` once for each thread of each block.
void run_grid(const unsigned grid[3], const unsigned block[3], const std::function<void()>& thread);

// Makes a kernel known by its name, for as long as the process lives.
struct Registered {
  Registered(std::string_view name, Bind bind);
};

template <auto kernel, class... Args, std::size_t... i>
Run bind_arguments(void (*)(Args...), const unsigned grid[3], const unsigned block[3],
                   void** arguments, std::index_sequence<i...>) {
  struct Sizes {
    unsigned grid[3], block[3];
  } sizes{{grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}};
  return [sizes, values = std::tuple<Args...>(*static_cast<Args*>(arguments[i])...)] {
    run_grid(sizes.grid, sizes.block, [&values] { std::apply(kernel, values); });
  };
}

template <auto kernel, class... Args>
Run bind_typed(void (*typed)(Args...), const unsigned grid[3], const unsigned block[3],
               void** arguments) {
  return bind_arguments<kernel>(typed, grid, block, arguments,
                                std::make_index_sequence<sizeof...(Args)>());
}

// A Bind of a function whose parameters are values.
template <auto kernel>
Run bind(const unsigned grid[3], const unsigned block[3], unsigned, void** arguments) {
  return bind_typed<kernel>(kernel, grid, block, arguments);
}

}  // namespace lanewise::emulation
