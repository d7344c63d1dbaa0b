// Recurrent products and cells in float64.
#include "tests/kernels/recurrent.h"

namespace lanewise::testing {

void test_recurrent64(Case& c) { Recurrence<double>{c, kernels::recurrent64(c.isa())}.run(); }

}  // namespace lanewise::testing
