// lanewise:ToDevice and lanewise:ToHost: where a value crosses between the host and a device. Made
// when a plan is divided between them, and run by the segment; no file contains them.
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

constexpr OpDef kOps[] = {{.domain = "lanewise",
                           .name = "ToDevice",
                           .doc = "A copy on the device of a value on the host.",
                           .infer = infer,
                           .layout = LayoutRule::kFollow,
                           .any_float = true},
                          {.domain = "lanewise",
                           .name = "ToHost",
                           .doc = "A copy on the host of a value on the device.",
                           .infer = infer,
                           .layout = LayoutRule::kFollow,
                           .any_float = true}};

}  // namespace

extern const OpTable device_copy_ops;
const OpTable device_copy_ops = {kOps};

}  // namespace lanewise
