// The threads of a block on one thread: one after the other as long as none waits, and each on a
// stack of its own once it does. The table of kernels.
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "tests/cuda/emulation.h"
#include "tests/cuda/emulation/device.h"

__thread lanewise::emulation::Triple threadIdx, blockIdx, blockDim, gridDim;

namespace lanewise::emulation {
namespace {

constexpr std::size_t kStack = 256 << 10;

enum class Wait { kNothing, kWarp, kBlock, kDone };

// A stack that runs threads until one of them waits; it then belongs to that thread.
struct Fiber {
  Fiber()
      : stack(static_cast<std::byte*>(mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
  ~Fiber() { munmap(stack, kStack); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  std::byte* stack;
  bool begun = false;
  jmp_buf here;
  ucontext_t first;
  unsigned thread = 0;
  Wait wait = Wait::kNothing;
};

[[noreturn]] void give_up(const char* reason) {
  std::fprintf(stderr, "emulation: %s\n", reason);
  std::abort();
}

class Block {
 public:
  void run(const std::function<void()>& thread) {
    thread_ = &thread;
    next_ = 0;
    count_ = blockDim.x * blockDim.y * blockDim.z;
    used_ = 0;
    while (next_ < count_) resume(fresh());
    while (release()) {
      for (std::size_t i = 0; i < used_; ++i) {
        if (fibers_[i]->wait == Wait::kNothing) resume(*fibers_[i]);
      }
    }
  }

  void wait(Wait what) {
    current_->wait = what;
    leave();
    enter_thread(current_->thread);
  }

  std::uint64_t* slots() { return slots_[current_->thread / 32]; }

 private:
  Fiber& fresh() {
    if (used_ == fibers_.size()) fibers_.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *fibers_[used_++];
    fiber.begun = false;
    fiber.wait = Wait::kNothing;
    return fiber;
  }

  static void enter_thread(unsigned thread) {
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y,
                 thread / (blockDim.x * blockDim.y)};
  }

  void leave() {
    if (_setjmp(current_->here) == 0) _longjmp(scheduler_, 1);
  }

  void resume(Fiber& fiber) {
    current_ = &fiber;
    if (_setjmp(scheduler_) != 0) return;
    if (fiber.begun) _longjmp(fiber.here, 1);
    fiber.begun = true;
    getcontext(&fiber.first);
    fiber.first.uc_stack.ss_sp = fiber.stack;
    fiber.first.uc_stack.ss_size = kStack;
    fiber.first.uc_link = nullptr;
    makecontext(&fiber.first, &Block::body, 0);
    setcontext(&fiber.first);
  }

  static void body();

  void run_threads() {
    Fiber& own = *current_;
    while (next_ < count_ && own.wait == Wait::kNothing) {
      own.thread = next_++;
      enter_thread(own.thread);
      (*thread_)();
    }
    own.wait = Wait::kDone;
    _longjmp(scheduler_, 1);
  }

  // Lets those go on whose fellows have all arrived; false when every thread is done. Threads that
  // have returned count as arrived, as they do on devices since Volta.
  bool release() {
    std::size_t waiting[32] = {}, at_block[32] = {}, all = 0, all_at_block = 0;
    for (std::size_t i = 0; i < used_; ++i) {
      const Fiber& fiber = *fibers_[i];
      if (fiber.wait == Wait::kDone) continue;
      ++all;
      all_at_block += fiber.wait == Wait::kBlock;
      ++(fiber.wait == Wait::kWarp ? waiting : at_block)[fiber.thread / 32];
    }
    if (all == 0) return false;
    bool any = false;
    for (std::size_t i = 0; i < used_; ++i) {
      Fiber& fiber = *fibers_[i];
      const bool whole = fiber.wait == Wait::kWarp && at_block[fiber.thread / 32] == 0;
      if (!whole && (fiber.wait != Wait::kBlock || all_at_block != all)) continue;
      fiber.wait = Wait::kNothing;
      any = true;
    }
    if (!any) give_up("threads of one warp wait for different things");
    return true;
  }

  const std::function<void()>* thread_ = nullptr;
  unsigned next_ = 0, count_ = 0;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::size_t used_ = 0;
  Fiber* current_ = nullptr;
  jmp_buf scheduler_;
  std::uint64_t slots_[32][32] = {};
};

Block& block_of_thread() {
  thread_local Block block;
  return block;
}

void Block::body() { block_of_thread().run_threads(); }

std::map<std::string_view, Bind>& table() {
  static std::map<std::string_view, Bind> kernels;
  return kernels;
}

}  // namespace

void wait_for_block() { block_of_thread().wait(Wait::kBlock); }
void wait_for_warp() { block_of_thread().wait(Wait::kWarp); }
std::uint64_t* warp_slots() { return block_of_thread().slots(); }

void run_grid(const unsigned grid[3], const unsigned block[3],
              const std::function<void()>& thread) {
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  Block& runner = block_of_thread();
  for (unsigned z = 0; z < grid[2]; ++z) {
    for (unsigned y = 0; y < grid[1]; ++y) {
      for (unsigned x = 0; x < grid[0]; ++x) {
        blockIdx = {x, y, z};
        runner.run(thread);
      }
    }
  }
}

Registered::Registered(std::string_view name, Bind bind) { table()[name] = bind; }

Bind find_kernel(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : found->second;
}

std::vector<std::string_view> kernel_names() {
  std::vector<std::string_view> names;
  for (const auto& [name, bind] : table()) names.push_back(name);
  return names;
}

}  // namespace lanewise::emulation
