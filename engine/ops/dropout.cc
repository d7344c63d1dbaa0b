// Dropout as inference sees it: the data goes through and the mask keeps everything. The importer
// turns all but a training mode that is decided at run time into Identity.
#include <cstring>

#include "engine/base/error.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

constexpr char kTraining[] =
    "training with a ratio above 0 is not supported; export the model for inference, or give "
    "training_mode = False";

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

Step lower_dropout(LowerContext& c) {
  const auto elements = static_cast<std::size_t>(c.shape(0).elements());
  const std::size_t bytes = elements * dtype_size(c.dtype(0));
  const DType ratio_type = c.has_input(1) ? c.dtype(1) : DType::kFloat32;
  const std::string where = "node '" + c.node().name + "' (Dropout): ";
  Step step;
  step.algorithm = "copy";
  step.run = [=](const RunContext& run) {
    const void* ratio = run.has_in(1) ? run.in<void>(1) : nullptr;
    if (run.has_in(2) && *run.in<bool>(2) && ratio_of(ratio, ratio_type) != 0.0f) {
      throw UnsupportedError(where + kTraining, {where + kTraining});
    }
    if (bytes != 0 && run.has_out(0)) std::memmove(run.out<void>(0), run.in<void>(0), bytes);
    if (elements != 0 && run.has_out(1)) std::memset(run.out<void>(1), 1, elements);
  };
  return step;
}

constexpr AttrDef kAttrs[] = {{.name = "seed",
                               .type = AttrType::kInt,
                               .doc = "of the random mask, which inference does not draw"}};

constexpr OpDef kOps[] = {
    {.name = "Dropout",
     .doc = "Its input, and a mask of ones (Srivastava et al. 2014, at inference).",
     .max_inputs = 3,
     .max_outputs = 2,
     .attributes = kAttrs,
     .infer = infer_dropout,
     .lower = lower_dropout,
     .any_float = true},
};

}  // namespace

extern const OpTable dropout_ops;
const OpTable dropout_ops = {kOps};

}  // namespace lanewise
