// The only door to threads. Work is split into parts whose results do not depend on the split:
// a kernel's order of summation is fixed by the plan, never by the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace lanewise {

namespace detail {
using TaskFn = void (*)(void* context, std::int64_t task, int thread);
void run_tasks(int threads, std::int64_t tasks, TaskFn fn, void* context);
}  // namespace detail

// Calls f(task, thread) once for each task in [0, tasks), in any order, from at most `threads`
// threads; `thread` is in [0, threads) and no two calls with the same value overlap, so it may
// index scratch memory. f must not throw. A call from within a task runs its tasks one by one.
template <class F>
void parallel_tasks(int threads, std::int64_t tasks, F&& f) {
  if (threads <= 1 || tasks <= 1) {
    for (std::int64_t task = 0; task < tasks; ++task) f(task, 0);
    return;
  }
  using Fn = std::remove_reference_t<F>;
  detail::run_tasks(
      threads, tasks,
      [](void* context, std::int64_t task, int thread) {
        (*static_cast<Fn*>(context))(task, thread);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

// As many threads as get at least `each` of the work, from 1 to `threads`.
inline int threads_worth(double work, double each, int threads) {
  return static_cast<int>(std::clamp(work / each, 1.0, static_cast<double>(threads)));
}

// Splits [0, n) into contiguous parts of at least `grain`, one per thread, and calls
// f(begin, end) for each.
template <class F>
void parallel_for(int threads, std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= 0) return;
  const std::int64_t most = std::max<std::int64_t>(1, n / std::max<std::int64_t>(1, grain));
  const std::int64_t parts = std::min<std::int64_t>(threads, most);
  if (parts <= 1) {
    f(std::int64_t{0}, n);
    return;
  }
  parallel_tasks(static_cast<int>(parts), parts, [&](std::int64_t part, int) {
    const std::int64_t begin = n / parts * part + std::min(part, n % parts);
    f(begin, begin + n / parts + (part < n % parts ? 1 : 0));
  });
}

// True in a child process forked after this process had used threads: the pool's threads do not
// exist there, and the thread that forked must not enter a parallel region again.
bool forked_from_pool();

}  // namespace lanewise
