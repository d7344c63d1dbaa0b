// Guard pages, draws and comparisons of the kernel tests.
#include "tests/kernels/check.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <stdexcept>

namespace lanewise::testing {

// Read by the handler of a crash in main.cc.
char case_text[512];

Case::Case(Isa isa, std::uint64_t seed) : isa_(isa), random_(seed) {
  exact_ = flip();
  at_end_ = flip();
  case_text[0] = '\0';
}

Case::~Case() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (const Block& block : blocks_) munmap(block.pages, block.room + 2 * page);
}

std::int64_t Case::pick(std::int64_t low, std::int64_t high) {
  const auto count = static_cast<std::uint64_t>(high - low) + 1;
  return low + static_cast<std::int64_t>(random_() % count);
}

std::int64_t Case::size(std::int64_t unit, std::int64_t multiples, std::int64_t least) {
  const std::int64_t drawn = flip() ? pick(least, unit) : pick(1, multiples) * unit + pick(-1, 1);
  return drawn < least ? least : drawn;
}

double Case::uniform(double low, double high) {
  return low + (high - low) * (static_cast<double>(random_() >> 11) * 0x1p-53);
}

float Case::number() {
  return exact_ ? static_cast<float>(pick(-4, 4)) : static_cast<float>(uniform(-1.0, 1.0));
}

std::byte* Case::allocate(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  Block block;
  block.bytes = bytes;
  block.room = (bytes + page) / page * page;
  void* memory =
      mmap(nullptr, block.room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no memory for a guarded array");
  block.pages = static_cast<std::byte*>(memory);
  blocks_.push_back(block);
  std::byte* inside = block.pages + page;
  if (mprotect(inside, block.room, PROT_READ | PROT_WRITE) != 0) {
    throw std::runtime_error("cannot unprotect a guarded array");
  }
  std::memset(inside, kUntouched, block.room);
  blocks_.back().data = at_end_ ? inside + block.room - bytes : inside;
  return blocks_.back().data;
}

void Case::freeze() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  mprotect(blocks_.back().pages + page, blocks_.back().room, PROT_READ);
}

void Case::describe(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(case_text, sizeof(case_text), format, arguments);
  va_end(arguments);
}

void Case::fail(const std::string& text, std::int64_t at) {
  throw std::runtime_error(text + " at " + std::to_string(at));
}

void Case::expect(double got, double want, double bound, const char* what, std::int64_t at) {
  if (std::isnan(want) ? std::isnan(got) : got == want) return;
  if (std::fabs(got - want) <= bound) return;
  char text[256];
  std::snprintf(text, sizeof(text), "%s: got %.9g, want %.9g within %.3g, off by %.3g", what, got,
                want, bound, got - want);
  fail(text, at);
}

void Case::finish() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (const Block& block : blocks_) {
    const std::byte* inside = block.pages + page;
    for (std::size_t i = 0; i < block.room; ++i) {
      const std::byte* at = inside + i;
      if (at >= block.data && at < block.data + block.bytes) continue;
      if (*at != std::byte{kUntouched}) {
        fail("memory beside an array of " + std::to_string(block.bytes) + " bytes was written",
             at - block.data);
      }
    }
  }
}

}  // namespace lanewise::testing
