"""Small ONNX models for the importer's tests, built with onnx.helper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Feeds = Mapping[str, np.ndarray[Any, Any]]


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Feeds,
    outputs: Sequence[str],
    *,
    opset: int = 21,
    constants: Feeds | None = None,
    symbolic: bool = False,
    ir_version: int = 8,
    **extra: Any,
) -> onnx.ModelProto:
    """A model whose inputs are typed like the given arrays.

    Args:
        nodes: the graph.
        inputs: an example of each input: its dtype and shape are declared.
        outputs: names, declared without a type.
        opset: version of ai.onnx.
        constants: initialisers.
        symbolic: declare each dimension by a name instead of its size.
        ir_version: of the file.
        **extra: for onnx.helper.make_model.

    Returns:
        The model, not checked.
    """
    infos = [
        helper.make_tensor_value_info(
            name,
            helper.np_dtype_to_tensor_dtype(array.dtype),
            [f"{name}_{i}" for i in range(array.ndim)] if symbolic else array.shape,
        )
        for name, array in inputs.items()
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        infos,
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *extra.pop("opset_imports", [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version, **extra)


def relu_model(**extra: Any) -> onnx.ModelProto:
    """y = Relu(x) for x of shape [2, 3]."""
    x = np.zeros((2, 3), np.float32)
    return make_model(
        [helper.make_node("Relu", ["x"], ["y"], name="relu")], {"x": x}, ["y"], **extra
    )


def external_model(
    location: str, entries: Mapping[str, str] | None = None, elements: int = 6
) -> onnx.ModelProto:
    """y = Identity(w) with the float32 tensor w in an external file.

    Args:
        location: the file as the model names it.
        entries: further keys of the tensor's external_data, "offset" and "length" say.
        elements: number of elements of w.

    Returns:
        The model.
    """
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[elements])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **(entries or {})}.items():
        tensor.external_data.add(key=key, value=value)
    model = make_model([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"])
    model.graph.initializer.append(tensor)
    return model
