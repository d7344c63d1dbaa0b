// Recurrent products and cells in float32.
#include "bench/kernels/recurrent.h"

namespace lanewise::bench {

std::vector<Work> bench_recurrent(Isa isa) { return recurrent_works(kernels::recurrent(isa)); }

}  // namespace lanewise::bench
