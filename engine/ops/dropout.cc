// Dropout: a copy with a mask of ones, or in training mode a random mask. The importer turns what
// cannot train into Identity.
#include <cstring>
#include <random>

#include "engine/base/error.h"
#include "engine/cpu/random_source.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_dropout(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  if (c.has_input(1)) {
    c.expect_dtype(1, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  }
  if (c.has_input(2)) c.expect_dtype(2, {DType::kBool});
  for (int i = 1; i <= 2; ++i) {
    if (c.has_input(i) && c.shape(i).elements() != 1) {
      c.fail("input " + std::to_string(i) + " must be one value, found shape " + c.shape(i).str());
    }
  }
  c.set_output(0, c.dtype(0), c.shape(0));
  c.set_output(1, DType::kBool, c.shape(0));
}

// The ratio, 0.5 when it is left out.
float ratio_of(const void* ratio, DType dtype) {
  if (ratio == nullptr) return 0.5f;
  float value = 0.0f;
  visit_scalar(dtype, [&]<class T>(std::type_identity<T>) {
    value = static_cast<float>(*static_cast<const T*>(ratio));
  });
  return value;
}

// Keeps each element with the probability 1 - ratio, scaled so that the mean stays.
void drop(const void* x, void* y, bool* mask, DType dtype, std::int64_t n, double ratio,
          RandomSource random) {
  const double scale = 1.0 / (1.0 - ratio);
  visit_scalar(dtype, [&]<class T>(std::type_identity<T>) {
    for (std::int64_t i = 0; i < n; ++i) {
      const bool kept = random.uniform() >= ratio;
      if (mask != nullptr) mask[i] = kept;
      if (y == nullptr) continue;
      const double value = static_cast<double>(static_cast<const T*>(x)[i]);
      if constexpr (std::is_same_v<T, double>) {
        static_cast<T*>(y)[i] = kept ? value * scale : 0.0;
      } else {
        static_cast<T*>(y)[i] = static_cast<T>(kept ? static_cast<float>(value * scale) : 0.0f);
      }
    }
  });
}

Step lower_dropout(LowerContext& c) {
  const std::int64_t elements = c.shape(0).elements();
  const DType dtype = c.dtype(0);
  const DType ratio_type = c.has_input(1) ? c.dtype(1) : DType::kFloat32;
  const bool seeded = c.has_attr("seed");
  Step step;
  step.algorithm = "copy";
  step.run = [=, seed = static_cast<std::uint32_t>(c.attr_int("seed")),
              where = c.where()](const RunContext& run) {
    const float ratio = ratio_of(run.has_in(1) ? run.in<void>(1) : nullptr, ratio_type);
    bool* mask = run.has_out(1) ? run.out<bool>(1) : nullptr;
    if (run.has_in(2) && *run.in<bool>(2) && ratio != 0.0f) {
      if (!(ratio >= 0.0f && ratio < 1.0f)) {
        throw ModelError(where + "the ratio is " + std::to_string(ratio) +
                         ", expected 0 to 1, 1 excluded");
      }
      return drop(run.in<void>(0), run.has_out(0) ? run.out<void>(0) : nullptr, mask, dtype,
                  elements, static_cast<double>(ratio),
                  RandomSource(seeded ? seed : std::random_device{}()));
    }
    const std::size_t bytes = static_cast<std::size_t>(elements) * dtype_size(dtype);
    if (bytes != 0 && run.has_out(0)) std::memmove(run.out<void>(0), run.in<void>(0), bytes);
    if (bytes != 0 && mask != nullptr) std::memset(mask, 1, static_cast<std::size_t>(elements));
  };
  return step;
}

constexpr AttrDef kAttrs[] = {{.name = "seed",
                               .type = AttrType::kInt,
                               .doc = "of the random mask, as NumPy's RandomState takes it; none "
                                      "if absent"}};

constexpr OpDef kOps[] = {
    {.name = "Dropout",
     .doc = "Its input, of which training drops elements, and the mask (Srivastava et al. 2014).",
     .max_inputs = 3,
     .max_outputs = 2,
     .attributes = kAttrs,
     .infer = infer_dropout,
     .lower = lower_dropout,
     .impure = true,
     .any_float = true},
};

}  // namespace

extern const OpTable dropout_ops;
const OpTable dropout_ops = {kOps};

}  // namespace lanewise
