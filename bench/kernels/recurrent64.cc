// Recurrent products and cells in float64.
#include "bench/kernels/recurrent.h"

namespace lanewise::bench {

std::vector<Work> bench_recurrent64(Isa isa) { return recurrent_works(kernels::recurrent64(isa)); }

}  // namespace lanewise::bench
