// Timing of the peak kernels on all threads.
#include "engine/runtime/machine_peak.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/clock.h"
#include "engine/base/parallel.h"
#include "engine/kernels/peak/peak.h"

namespace lanewise {
namespace {

constexpr double kSeconds = 0.05;
// Short enough that some turns fall between two time slices of a busy machine, long enough that
// waking the threads (below a microsecond) does not count.
constexpr double kTurnSeconds = 0.002;
// Several times the last-level cache that one process usually gets.
constexpr std::int64_t kFloats = std::int64_t{32} << 20;
// One cache line per thread, so that storing results does not make them wait for each other.
struct alignas(64) Slot {
  double value = 0;
};

// The best rate of f(), which returns the amount of work it has done, over turns.
template <class F>
double best_rate(F&& f) {
  double best = 0;
  const double begin = now_seconds();
  do {
    const double start = now_seconds();
    const double work = f();
    best = std::max(best, work / (now_seconds() - start));
  } while (now_seconds() - begin < kSeconds);
  return best;
}

double sum(const std::vector<Slot>& slots) {
  double total = 0;
  for (const Slot& slot : slots) total += slot.value;
  return total;
}

}  // namespace

MachinePeak measure_peak(Isa isa, int threads) {
  const kernels::PeakF32& kernel = kernels::peak_f32(isa);
  std::vector<Slot> slots(static_cast<std::size_t>(threads));
  const auto on_all = [&](auto&& work) {
    parallel_tasks(threads, threads, [&](std::int64_t task, int) {
      slots[static_cast<std::size_t>(task)].value = work(task);
    });
    return sum(slots);
  };
  MachinePeak peak;
  constexpr std::int64_t kProbe = 10000;
  const double rate = best_rate([&] { return on_all([&](auto) { return kernel.fma(kProbe); }); });
  const double per_round = kernel.fma(1) * threads;
  const auto rounds =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(rate * kTurnSeconds / per_round));
  peak.flops = best_rate([&] { return on_all([&](auto) { return kernel.fma(rounds); }); });

  const AlignedBytes memory = allocate_aligned(kFloats * sizeof(float));
  auto* data = reinterpret_cast<float*>(memory.get());
  const std::int64_t part = kFloats / threads;
  // Each thread first touches the part that it will read, which places it near that thread.
  on_all([&](std::int64_t task) {
    std::memset(data + task * part, 0, static_cast<std::size_t>(part) * sizeof(float));
    return 0.0;
  });
  // A turn reads the next piece of each part: memory by memory, never the piece read just before.
  const std::int64_t piece = std::max<std::int64_t>(1, std::min(part, kFloats / 16 / threads));
  std::int64_t at = 0;
  std::vector<Slot> sums(static_cast<std::size_t>(threads));
  peak.bytes = best_rate([&] {
    if (at + piece > part) at = 0;
    const double bytes = on_all([&](std::int64_t task) {
      sums[static_cast<std::size_t>(task)].value += kernel.read(data + task * part + at, piece);
      return static_cast<double>(piece) * sizeof(float);
    });
    at += piece;
    return bytes;
  });
  return peak;
}

}  // namespace lanewise
