// Allocation of aligned memory.
#include "engine/base/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "engine/base/error.h"

namespace lanewise {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::byte* allocate(std::size_t bytes) {
  const std::size_t limit = std::numeric_limits<std::size_t>::max() / 2;
  const std::size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kAlignment;
  void* p = nullptr;
  if (bytes <= limit) {
    const std::size_t rounded = aligned_size(bytes);
    p = std::aligned_alloc(alignment, (rounded + alignment - 1) / alignment * alignment);
  }
  if (p == nullptr) {
    throw ResourceError("cannot allocate " + std::to_string(bytes) +
                        " bytes; use smaller inputs or a smaller batch, or free memory");
  }
#ifdef MADV_HUGEPAGE
  // Transparent huge pages come only when asked for; a refusal costs nothing but speed.
  if (alignment == kHugePage) (void)madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return static_cast<std::byte*>(p);
}

}  // namespace

void AlignedFree::operator()(std::byte* p) const noexcept { std::free(p); }

AlignedBytes allocate_aligned(std::size_t bytes) {
  return AlignedBytes(allocate(bytes == 0 ? kAlignment : bytes));
}

std::shared_ptr<std::byte> allocate_shared(std::size_t bytes) {
  return std::shared_ptr<std::byte>(allocate_aligned(bytes).release(), AlignedFree{});
}

std::shared_ptr<const std::byte> shared_zeros(std::size_t bytes) {
  std::shared_ptr<std::byte> zeros = allocate_shared(bytes);
  std::memset(zeros.get(), 0, bytes);
  return zeros;
}

}  // namespace lanewise
