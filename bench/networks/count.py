"""Parameters and floating-point operations of any ONNX model, from shape inference alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper, shape_inference

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# Larger initializers hold weights, smaller ones may hold the shapes that inference needs to see.
_SMALL = 1024

Shape = list[int]


@dataclass(frozen=True)
class Count:
    """What a model holds and what one run of it costs.

    Attributes:
        parameters: Numbers in float initializers, without BatchNormalization's running statistics.
        flops: Two per multiply-add of Conv, ConvTranspose, Gemm, MatMul and recurrent nodes;
            the rest is left out.
    """

    parameters: int
    flops: int


class UnknownShapeError(ValueError):
    """A shape that the count needs is not known from the model."""


def count(model: onnx.ModelProto) -> Count:
    """Counts parameters and floating-point operations.

    Raises:
        UnknownShapeError: A node to be counted has a symbolic or unknown shape.
    """
    shapes = _shapes(model)
    statistics = {
        s for n in model.graph.node if n.op_type == "BatchNormalization" for s in n.input[3:5]
    }
    parameters = sum(
        math.prod(t.dims)
        for t in model.graph.initializer
        if t.data_type in _FLOATS and t.name not in statistics
    )
    return Count(parameters, sum(_flops(node, shapes) for node in model.graph.node))


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large initializers became inputs: all that shape inference needs, and cheap."""
    graph = model.graph
    small = [t for t in graph.initializer if not _is_weight(t)]
    large = [t for t in graph.initializer if _is_weight(t)]
    inputs = [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in large]
    shell = helper.make_graph(graph.node, graph.name, [*graph.input, *inputs], graph.output, small)
    return helper.make_model(shell, opset_imports=model.opset_import, ir_version=model.ir_version)


def _is_weight(tensor: TensorProto) -> bool:
    has_data = tensor.raw_data or tensor.data_type != TensorProto.FLOAT or tensor.float_data
    return math.prod(tensor.dims) > _SMALL or not has_data


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes of all tensors that are wholly known."""
    graph = shape_inference.infer_shapes(without_weights(model), data_prop=True).graph
    found = {t.name: list(t.dims) for t in graph.initializer}
    for info in [*graph.input, *graph.value_info, *graph.output]:
        kind = info.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            found[info.name] = [d.dim_value for d in kind.shape.dim]
    return found


def _flops(node: onnx.NodeProto, shapes: dict[str, Shape]) -> int:
    def shape(name: str) -> Shape:
        if name not in shapes:
            raise UnknownShapeError(
                f"{node.op_type} {node.name!r}: the shape of {name!r} is not known"
            )
        return shapes[name]

    if node.op_type == "Conv":
        return 2 * math.prod(shape(node.output[0])) * math.prod(shape(node.input[1])[1:])
    if node.op_type == "ConvTranspose":
        return 2 * math.prod(shape(node.input[0])) * math.prod(shape(node.input[1])[1:])
    if node.op_type == "MatMul":
        return 2 * math.prod(shape(node.output[0])) * shape(node.input[0])[-1]
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return 2 * math.prod(shape(node.output[0])) * shape(node.input[0])[0 if transposed else 1]
    if node.op_type in _GATES:
        steps, batch, features = shape(node.input[0])
        ways, _, hidden = shape(node.input[2])
        return 2 * steps * batch * ways * _GATES[node.op_type] * hidden * (features + hidden)
    return 0
