// Aligned memory, in one piece, with shared or single ownership.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>

namespace lanewise {

// Alignment of every buffer: one cache line, and one AVX-512 vector.
inline constexpr std::size_t kAlignment = 64;

// The bytes that a buffer of so many takes: whole cache lines.
template <std::integral T>
constexpr std::size_t aligned_size(T bytes) {
  return (static_cast<std::size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
}

struct AlignedFree {
  void operator()(std::byte* p) const noexcept;
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedFree>;

// Uninitialised bytes, aligned to kAlignment, rounded up to whole cache lines, from huge pages
// where the system grants them and the block is large. Throws ResourceError naming the size.
AlignedBytes allocate_aligned(std::size_t bytes);
std::shared_ptr<std::byte> allocate_shared(std::size_t bytes);
// Zeros, for readers to point at.
std::shared_ptr<const std::byte> shared_zeros(std::size_t bytes);

}  // namespace lanewise
