// OpenMP behind parallel.h; no other file has a `#pragma omp`.
#include "engine/base/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>

namespace lanewise {
namespace {

std::atomic<bool> pool_used{false};
std::atomic<bool> forked{false};

void after_fork_in_child() {
  if (pool_used.load(std::memory_order_relaxed)) forked.store(true, std::memory_order_relaxed);
}

}  // namespace

bool forked_from_pool() { return forked.load(std::memory_order_relaxed); }

namespace detail {

void run_tasks(int threads, std::int64_t tasks, TaskFn fn, void* context) {
  if (omp_in_parallel()) {
    for (std::int64_t task = 0; task < tasks; ++task) fn(context, task, 0);
    return;
  }
  if (!pool_used.exchange(true, std::memory_order_relaxed)) {
    pthread_atfork(nullptr, nullptr, after_fork_in_child);
  }
  const int count = static_cast<int>(std::min<std::int64_t>(threads, tasks));
#pragma omp parallel for num_threads(count) schedule(dynamic, 1)
  for (std::int64_t task = 0; task < tasks; ++task) fn(context, task, omp_get_thread_num());
}

}  // namespace detail
}  // namespace lanewise
