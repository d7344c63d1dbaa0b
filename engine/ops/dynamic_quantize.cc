// DynamicQuantizeLinear: quantisation whose scale comes from the data.
#include <algorithm>
#include <cmath>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/kernels/quant/quant.h"

namespace lanewise {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements that are worth a thread

void infer_dynamic(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32});
  c.set_output(0, DType::kUInt8, c.shape(0));
  c.set_output(1, DType::kFloat32, Shape{});
  c.set_output(2, DType::kUInt8, Shape{});
}

Step lower_dynamic(LowerContext& c) {
  Step step;
  step.algorithm = "two passes";
  step.run = [n = c.shape(0).elements(),
              &table = kernels::quantize(c.isa())](const RunContext& run) {
    const float* x = run.in<float>(0);
    float low = 0.0f, high = 0.0f;  // the range always holds 0
    table.extremes(n, x, &low, &high);
    float scale = (high - low) / 255.0f;
    if (scale == 0.0f) scale = 1.0f;  // all zeros
    const float shift = std::nearbyint(std::clamp(0.0f - low / scale, 0.0f, 255.0f));
    const std::int32_t zero = static_cast<std::int32_t>(shift);
    if (run.has_out(1)) *run.out<float>(1) = scale;
    if (run.has_out(2)) *run.out<std::uint8_t>(2) = static_cast<std::uint8_t>(zero);
    if (!run.has_out(0)) return;
    parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      table.u8.quantize(end - begin, x + begin, {&scale, &zero, false}, {0, 255},
                        run.out<std::uint8_t>(0) + begin);
    });
  };
  return step;
}

constexpr OpDef kOps[] = {
    {.name = "DynamicQuantizeLinear",
     .doc = "Quantisation to uint8 by the range of the data.",
     .max_outputs = 3,
     .infer = infer_dynamic,
     .lower = lower_dynamic},
};

}  // namespace

extern const OpTable dynamic_quantize_ops;
const OpTable dynamic_quantize_ops = {kOps};

}  // namespace lanewise
