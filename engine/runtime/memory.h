// Places buffers with known lifetimes in one arena.
#pragma once

#include <cstddef>
#include <vector>

namespace lanewise {

// A buffer that is written at step `first` and read last at step `last` (inclusive).
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
  std::size_t offset = 0;  // the result, a multiple of kAlignment
};

// Gives every buffer an offset such that buffers alive at the same time do not overlap, and
// returns the arena's size. Largest first, each in the smallest gap that holds it (the greedy by
// size of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
std::size_t place_buffers(std::vector<Lifetime>& buffers);

}  // namespace lanewise
