// Arrays between Python and the engine, without a copy.
#pragma once

#include <nanobind/nanobind.h>

#include "engine/graph/tensor.h"

namespace lanewise::bindings {

// A tensor over a C-contiguous buffer, which it keeps alive; `code` is the ONNX element type, whose
// size the buffer's items must have. For strings, `array` is a pair (flat list of str, shape); for
// a sequence, optional or map a pair (codes of what it holds, list of (item, code)), as in
// Container.
Tensor tensor_from_python(nanobind::handle array, int code);

// A NumPy array over the tensor's memory; types that NumPy lacks come as unsigned integers of
// their size, strings as a pair (flat list of str, shape).
nanobind::object tensor_to_python(const Tensor& tensor);

}  // namespace lanewise::bindings
