// The instruction sets this build knows, and those this machine has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lanewise {

// Ordered: each ISA includes those before it. kBaseline is the compiler's default target, and the
// only one on machines other than x86-64. kAmx is the tile unit with bfloat16 products.
enum class Isa : unsigned char { kBaseline, kAvx2, kAvx512, kAvx512Vnni, kAmx };

inline constexpr Isa kAllIsas[] = {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni,
                                   Isa::kAmx};

std::string_view isa_name(Isa isa);

// The widest ISA that both this machine (CPUID and the operating system's XGETBV) and this build
// have. Read once.
Isa best_isa();

// Every ISA up to best_isa(), narrowest first.
std::vector<Isa> available_isas();

// The ISA of that name; throws InputError listing the choices when the name is unknown or the
// machine or build lacks it. An empty name or "auto" means best_isa().
Isa parse_isa(std::string_view name);

// The processor's own name ("AMD EPYC 9B45"), for reports.
std::string cpu_name();

// Threads to use by default: min(affinity, cgroup CPU quota rounded up, physical cores), >= 1.
int default_threads();

}  // namespace lanewise
