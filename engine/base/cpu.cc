// CPU features and the number of threads that pay.
#include "engine/base/cpu.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "engine/base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace lanewise {
namespace {

#if defined(__x86_64__)
std::uint64_t xgetbv0() {
  unsigned lo = 0, hi = 0;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (static_cast<std::uint64_t>(hi) << 32) | lo;
}

// Linux gives a process the tile registers' state only when it asks (arch_prctl(2),
// ARCH_REQ_XCOMP_PERM for feature 18); all its threads have it then.
bool tiles_granted() {
#if defined(__linux__)
  constexpr long kRequest = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

// What `leaf7c` and `leaf7d`, ecx and edx of CPUID leaf 7, add to AVX-512.
Isa detect_beyond_avx512(std::uint64_t state, unsigned leaf7c, unsigned leaf7d) {
  if (!(leaf7c & (1u << 11))) return Isa::kAvx512;
  const unsigned amx = (1u << 22) | (1u << 24);  // products of bfloat16, tiles
  const bool tiles = (leaf7d & amx) == amx && (state & 0x60000) == 0x60000;
  return tiles && tiles_granted() ? Isa::kAmx : Isa::kAvx512Vnni;
}

Isa detect() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return Isa::kBaseline;
  const bool osxsave = c & (1u << 27), fma = c & (1u << 12), f16c = c & (1u << 29);
  if (!osxsave || !fma || !f16c) return Isa::kBaseline;
  const std::uint64_t state = xgetbv0();
  if ((state & 0x6) != 0x6) return Isa::kBaseline;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return Isa::kBaseline;
  const bool avx2 = b & (1u << 5), bmi2 = b & (1u << 8);
  if (!avx2 || !bmi2) return Isa::kBaseline;
  // F, DQ, CD, BW, VL: what every AVX-512 server since Skylake has.
  const unsigned wanted = (1u << 16) | (1u << 17) | (1u << 28) | (1u << 30) | (1u << 31);
  const bool avx512 = (b & wanted) == wanted && (state & 0xe6) == 0xe6;
  return avx512 ? detect_beyond_avx512(state, c, d) : Isa::kAvx2;
}
#else
Isa detect() { return Isa::kBaseline; }
#endif

constexpr Isa kWidestBuilt =
#if defined(LANEWISE_HAS_AMX)
    Isa::kAmx;
#elif defined(LANEWISE_HAS_AVX2)
    Isa::kAvx2;
#else
    Isa::kBaseline;
#endif

// CPUs that the process may run on, as a count and as the set of their physical cores.
int usable_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) {
    return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  }
  std::set<std::pair<int, int>> cores;
  int logical = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    ++logical;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    int package = -1, core = -1;
    std::ifstream(folder + "physical_package_id") >> package;
    std::ifstream(folder + "core_id") >> core;
    if (core >= 0) cores.emplace(package, core);
  }
  return std::max(1, cores.empty() ? logical : static_cast<int>(cores.size()));
}

// The CPU quota of the process's own cgroup (v2, else v1) in whole CPUs, or a huge number.
int quota_cores() {
  constexpr int kNone = 1 << 20;
  double quota = -1, period = 0;
  std::string word;
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file >> word >> period && word != "max") {
    std::istringstream(word) >> quota;
  } else {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return kNone;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kAmx: return "amx";
    case Isa::kAvx512Vnni: return "avx512_vnni";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx2: return "avx2";
    case Isa::kBaseline: break;
  }
  return "baseline";
}

Isa best_isa() {
  static const Isa best = std::min(detect(), kWidestBuilt);
  return best;
}

std::vector<Isa> available_isas() {
  std::vector<Isa> result;
  for (Isa isa : kAllIsas) {
    if (isa <= best_isa()) result.push_back(isa);
  }
  return result;
}

Isa parse_isa(std::string_view name) {
  if (name.empty() || name == "auto") return best_isa();
  std::string choices = "auto";
  for (Isa isa : available_isas()) {
    if (name == isa_name(isa)) return isa;
    choices += ", " + std::string(isa_name(isa));
  }
  throw InputError("isa: expected one of " + choices + " on this machine, got '" +
                       std::string(name) + "'; leave it out to take the widest",
                   "isa", choices, std::string(name));
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

int default_threads() { return std::min(usable_cores(), quota_cores()); }

}  // namespace lanewise
