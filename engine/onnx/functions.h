// Model-local functions: every call is replaced by the function's nodes.
#pragma once

#include <vector>

#include "engine/onnx/draft.h"

namespace lanewise::onnx {

// Throws ModelError when a function calls itself, ResourceError when the nodes that come of it go
// past the budget of `source`.
void inline_functions(DraftGraph& graph, const std::vector<FunctionProto>& functions,
                      TensorSource& source);

}  // namespace lanewise::onnx
