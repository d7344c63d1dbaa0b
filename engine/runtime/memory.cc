// Greedy placement of buffers.
#include "engine/runtime/memory.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/base/buffer.h"

namespace lanewise {
namespace {

std::size_t rounded(std::size_t bytes) { return aligned_size(std::max<std::size_t>(bytes, 1)); }

// The start of the smallest gap of at least `bytes` between placed buffers (sorted by offset).
std::size_t find_gap(const std::vector<const Lifetime*>& placed, const Lifetime& buffer,
                     std::size_t bytes) {
  std::size_t best = std::numeric_limits<std::size_t>::max();
  std::size_t best_size = best;
  std::size_t end = 0;
  for (const Lifetime* other : placed) {
    if (other->last < buffer.first || other->first > buffer.last) continue;
    if (other->offset > end && other->offset - end >= bytes && other->offset - end < best_size) {
      best = end;
      best_size = other->offset - end;
    }
    end = std::max(end, other->offset + rounded(other->bytes));
  }
  return best_size == std::numeric_limits<std::size_t>::max() ? end : best;
}

}  // namespace

std::size_t place_buffers(std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return buffers[a].bytes > buffers[b].bytes;
  });
  std::vector<const Lifetime*> placed;
  std::size_t total = 0;
  for (std::size_t index : order) {
    Lifetime& buffer = buffers[index];
    const std::size_t bytes = rounded(buffer.bytes);
    buffer.offset = find_gap(placed, buffer, bytes);
    total = std::max(total, buffer.offset + bytes);
    placed.insert(std::upper_bound(
                      placed.begin(), placed.end(), &buffer,
                      [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; }),
                  &buffer);
  }
  return total;
}

}  // namespace lanewise
