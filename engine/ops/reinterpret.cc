// lanewise:Reinterpret: the same bytes under another shape or layout. Made by the layout pass,
// which has checked that the bytes agree; no file contains it.
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

constexpr OpDef kOps[] = {{.domain = "lanewise",
                           .name = "Reinterpret",
                           .doc = "The bytes of the input under another shape or layout.",
                           .infer = infer,
                           .view = true,
                           .any_float = true}};

}  // namespace

extern const OpTable reinterpret_ops;
const OpTable reinterpret_ops = {kOps};

}  // namespace lanewise
