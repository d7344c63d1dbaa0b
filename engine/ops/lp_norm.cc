// LpNormalization: division by the 1-norm or 2-norm along one axis.
#include <cmath>
#include <string>

#include "engine/cpu/moments.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_lp_norm(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  const std::int64_t p = c.attr_int("p");
  if (p != 1 && p != 2) c.fail("attribute 'p' is " + std::to_string(p) + ", expected 1 or 2");
  c.attr_axis(c.shape(0).rank());
  c.set_output(0, c.dtype(0), c.shape(0));
}

template <class T>
Step make_step(const LowerContext& c) {
  const Shape& shape = c.shape(0);
  const int axis = c.attr_axis(shape.rank());
  const Moments<T> moments(c.isa(), shape.elements(0, axis), shape[axis],
                           shape.elements(axis + 1, shape.rank()));
  const bool absolute = c.attr_int("p") == 1;
  const std::int64_t entries = moments.entries();
  Step step;
  step.algorithm = "two passes";
  step.scratch_bytes =
      static_cast<std::size_t>(checked_multiply(4 * entries + moments.scratch(), sizeof(double)));
  step.run = [=](const RunContext& run) {
    double* norm = reinterpret_cast<double*>(run.scratch);
    double* partial = norm + entries;
    T* zero = reinterpret_cast<T*>(partial + moments.scratch());
    T* scale = zero + entries;
    moments.reduce(run.threads, absolute ? Fold::kAbs : Fold::kSquares, run.in<T>(0), nullptr,
                   partial, norm);
    for (std::int64_t e = 0; e < entries; ++e) {
      const double size = absolute ? norm[e] : std::sqrt(norm[e]);
      zero[e] = T{0};
      scale[e] = size == 0.0 ? T{0} : static_cast<T>(1.0 / size);
    }
    moments.scale_shift(run.threads, run.in<T>(0), zero, scale, zero, run.out<T>(0));
  };
  return step;
}

Step lower_lp_norm(LowerContext& c) {
  return c.dtype(0) == DType::kFloat64 ? make_step<double>(c) : make_step<float>(c);
}

double lp_norm_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 3.0 * static_cast<double>(c.shape(0).elements());
}

constexpr AttrDef kAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "axis of the norm", .int_default = -1},
    {.name = "p", .type = AttrType::kInt, .doc = "order of the norm, 1 or 2", .int_default = 2}};

constexpr OpDef kOps[] = {
    {.name = "LpNormalization",
     .doc = "Its input divided by its norm along an axis; zeros stay zeros.",
     .attributes = kAttrs,
     .infer = infer_lp_norm,
     .lower = lower_lp_norm,
     .flops = lp_norm_flops},
};

}  // namespace

extern const OpTable lp_norm_ops;
const OpTable lp_norm_ops = {kOps};

}  // namespace lanewise
