// OpenMP behind parallel.h; no other file has a `#pragma omp`.
#include "engine/base/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace lanewise {
namespace {

// ThreadSanitizer does not see how OpenMP's own, uninstrumented, library hands work to its threads
// and waits for them: these say it. Nothing in other builds.
#if defined(__SANITIZE_THREAD__)
void publish(void* token) { __tsan_release(token); }
void observe(void* token) { __tsan_acquire(token); }
#define LANEWISE_UNSEEN __attribute__((no_sanitize_thread))
#else
void publish(void*) {}
void observe(void*) {}
#define LANEWISE_UNSEEN
#endif

std::atomic<bool> pool_used{false};
std::atomic<bool> forked{false};

void after_fork_in_child() {
  if (pool_used.load(std::memory_order_relaxed)) forked.store(true, std::memory_order_relaxed);
}

}  // namespace

bool forked_from_pool() { return forked.load(std::memory_order_relaxed); }

namespace detail {

LANEWISE_UNSEEN void run_tasks(int threads, std::int64_t tasks, TaskFn fn, void* context) {
  if (omp_in_parallel()) {
    for (std::int64_t task = 0; task < tasks; ++task) fn(context, task, 0);
    return;
  }
  if (!pool_used.exchange(true, std::memory_order_relaxed)) {
    pthread_atfork(nullptr, nullptr, after_fork_in_child);
  }
  const int count = static_cast<int>(std::min<std::int64_t>(threads, tasks));
  char done = 0;  // a token of its own, so that tasks stay unordered among themselves
  publish(context);
  // Neighbouring tasks on one thread: what it wrote in one step it reads in the next, out of its
  // own cache. Fetching a line from another core's cache takes as long as from the third level.
#pragma omp parallel for num_threads(count) schedule(static)
  for (std::int64_t task = 0; task < tasks; ++task) {
    observe(context);
    fn(context, task, omp_get_thread_num());
    publish(&done);
  }
  observe(&done);
}

}  // namespace detail
}  // namespace lanewise
