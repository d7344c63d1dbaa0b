// Recurrent products and cells in float32.
#include "tests/kernels/recurrent.h"

namespace lanewise::testing {

void test_recurrent(Case& c) { Recurrence<float>{c, kernels::recurrent(c.isa())}.run(); }

}  // namespace lanewise::testing
