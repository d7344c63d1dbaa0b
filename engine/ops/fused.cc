// The activation of fused operators.
#include "engine/ops/fused.h"

#include <string>

#include "engine/cpu/activation.h"

namespace lanewise {
namespace {

bool fused(const OpContext& c) { return c.node().op->domain == "lanewise"; }

}  // namespace

void check_activation(const InferContext& c) {
  if (!fused(c)) return;
  c.expect_dtype(0, {DType::kFloat32});
  if (!find_activation(c.attr_string("activation"))) {
    c.fail("attribute 'activation' is '" + std::string(c.attr_string("activation")) +
           "', expected the name of an activation operator");
  }
}

void check_byte_clamp(const OpContext& c) {
  const std::int64_t low = c.attr_int("low"), high = c.attr_int("high");
  if (low >= -128 && low <= high && high <= 255) return;
  c.fail("attributes 'low' and 'high' are " + std::to_string(low) + " and " + std::to_string(high) +
         ", expected -128 <= low <= high <= 255");
}

kernels::ActivationCall fused_activation(const OpContext& c) {
  if (!fused(c)) return {};
  return {*find_activation(c.attr_string("activation")), c.attr_float("activation_alpha"),
          c.attr_float("activation_beta")};
}

}  // namespace lanewise
