"""Operators between DequantizeLinear and QuantizeLinear run on integers, and mean the same.

The rule: where a result lies between two bytes, the fused operator gives one of them that is at
most half a step away from the exact number, but for float32's rounding of that number; operators
that move or compare bytes give the very bytes of the separate nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import lanewise as lw
from tests.ops.quantised import ISAS, MS, Array, bytes_of, model_of

# How far past a tie float32's rounding may take a number of up to 2^8 steps.
TIE = 2.0**-10


class Graph:
    """A model that grows node by node; quantised values are (name, scale, zero point, dtype)."""

    def __init__(self, seed: int, signed: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = "int8" if signed else "uint8"
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.feed: dict[str, Array] = {}
        self.real: dict[str, Array] = {}  # inputs of the operator, exact

    def constant(self, array: Array) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def parameters(self, dtype: str, count: int = 1) -> tuple[Array, Array]:
        """Scales and zero points."""
        scales = (2.0 ** self.rng.uniform(-6, -3, count)).astype(np.float32)
        zeros = bytes_of(self.rng, [count], dtype)
        return (scales, zeros) if count > 1 else (scales[0], zeros[0])

    def dequantise(
        self, values: Array, scale: Array, zero: Array | None, name: str, axis: int = 0
    ) -> str:
        inputs = [name, self.constant(np.asarray(scale))]
        if zero is not None:
            inputs.append(self.constant(np.asarray(zero)))
        real = f"real{len(self.real)}"
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [real], axis=axis))
        shape = [1] * values.ndim
        if np.ndim(scale) == 1:
            shape[axis] = -1
        minus = 0 if zero is None else np.asarray(zero, np.int64).reshape(shape)
        factor = np.asarray(scale, np.float64).reshape(shape)
        self.real[real] = (values.astype(np.int64) - minus) * factor
        return real

    def value(self, shape: Sequence[int], scale: Array, zero: Array) -> str:
        """An activation that the caller gives."""
        name = f"x{len(self.inputs)}"
        self.feed[name] = bytes_of(self.rng, shape, self.dtype)
        code = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        self.inputs.append(helper.make_tensor_value_info(name, code, shape))
        return self.dequantise(self.feed[name], scale, zero, name)

    def weight(
        self, shape: Sequence[int], dtype: str, count: int, axis: int, symmetric: bool
    ) -> tuple[str, Array]:
        scale, zero = self.parameters(dtype, count)
        if symmetric:
            zero = np.zeros_like(zero)
        values = bytes_of(self.rng, shape, dtype)
        return self.dequantise(values, scale, zero, self.constant(values), axis), scale

    def exact(self, node: onnx.NodeProto) -> Array:
        """What the operator gives in float64."""
        infos = [
            helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in (*self.real, "r")
        ]
        graph = helper.make_graph([node], "exact", infos[:-1], infos[-1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
        return np.asarray(ReferenceEvaluator(model).run(None, self.real)[0])

    def finish(
        self, node: onnx.NodeProto, after: onnx.NodeProto | None, scale: Array, zero: Array
    ) -> onnx.ModelProto:
        """Adds the operator, what follows it, and the quantisation."""
        self.nodes.append(node)
        last = node.output[0]
        if after is not None:
            self.nodes.append(after)
            last = after.output[0]
        parameters = [self.constant(np.asarray(scale)), self.constant(np.asarray(zero))]
        self.nodes.append(helper.make_node("QuantizeLinear", [last, *parameters], ["y"]))
        code = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        output = helper.make_tensor_value_info("y", code, None)
        graph = helper.make_graph(self.nodes, "quantised", self.inputs, [output], self.weights)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def steps_of(exact: Array, scale: Array, zero: Array, dtype: str) -> Array:
    """Exact results in steps of the output, bounded to what the type holds."""
    info = np.iinfo(dtype)
    return np.clip(exact / np.float64(scale) + int(zero), info.min, info.max)


def check(
    graph: Graph, model: onnx.ModelProto, wanted: set[str], exact: Array | None = None
) -> None:
    """Every ISA fuses, gives one result, and is next to the exact one, or equal without one."""
    separate = lw.load(model, _fuse=False).run(graph.feed)["y"]
    for isa in ISAS:
        loaded = lw.load(model, isa=isa, threads=2)
        got = loaded.run(graph.feed)["y"]
        assert got.dtype == separate.dtype and got.shape == separate.shape
        operators = {layer.op for layer in loaded.profile(graph.feed).layers}
        assert wanted <= operators and not operators & {"DequantizeLinear", "QuantizeLinear"}
        if exact is None:
            np.testing.assert_array_equal(got, separate)
            continue
        assert np.abs(got.astype(np.int64) - exact).max(initial=0) <= 0.5 + TIE
        assert np.abs(got.astype(np.int64) - separate).max(initial=0) <= 1
        assert np.mean(got != separate) <= 0.02


CONVOLUTIONS: list[tuple[list[int], list[int], dict[str, Any]]] = [
    ([1, 3, 15, 14], [8, 3, 7, 7], {"pads": [3, 3, 3, 3], "strides": [2, 2]}),
    ([2, 16, 7, 9], [70, 16, 1, 1], {}),
    ([1, 9, 8, 8], [17, 9, 3, 3], {"pads": [1, 1, 1, 1], "dilations": [2, 1]}),
    ([1, 70, 9, 9], [70, 1, 3, 3], {"pads": [1, 1, 1, 1], "group": 70}),
    ([1, 12, 9, 9], [24, 3, 3, 3], {"group": 4, "strides": [2, 1]}),
    ([1, 5, 20], [6, 5, 4], {"pads": [1, 2]}),
]


@pytest.mark.parametrize(("x_shape", "w_shape", "attributes"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("form", ["plain", "bias", "real bias", "relu", "clip", "asymmetric"])
def test_convolution(
    x_shape: list[int], w_shape: list[int], attributes: dict[str, Any], signed: bool, form: str
) -> None:
    graph = Graph(len(x_shape) + w_shape[0], signed)
    x_scale, x_zero = graph.parameters(graph.dtype)
    x = graph.value(x_shape, x_scale, x_zero)
    each = form != "plain"
    asymmetric = form == "asymmetric"
    w, w_scale = graph.weight(
        w_shape, "uint8" if asymmetric else "int8", w_shape[0] if each else 1, 0, not asymmetric
    )
    inputs = [x, w]
    if form in ("bias", "relu"):
        values = graph.rng.integers(-3000, 3000, w_shape[0]).astype(np.int32)
        inputs.append(graph.dequantise(values, x_scale * w_scale, None, graph.constant(values)))
    elif form == "real bias":
        values = graph.rng.normal(0, 1, w_shape[0]).astype(np.float32)
        inputs.append(graph.constant(values))
        graph.real[inputs[-1]] = values.astype(np.float64)
    node = helper.make_node("Conv", inputs, ["r"], **attributes)
    exact = graph.exact(node)
    y_scale = np.float32(np.abs(exact).max() / 100)
    y_zero = np.array(5 if signed else 120, graph.dtype)
    after = None
    if form == "relu":
        after = helper.make_node("Relu", ["r"], ["a"])
        exact = np.maximum(exact, 0)
    elif form == "clip":
        low, high = np.float32(-0.3 * exact.max()), np.float32(0.4 * exact.max())
        after = helper.make_node("Clip", ["r", graph.constant(low), graph.constant(high)], ["a"])
        exact = np.clip(exact, low, high)
    model = graph.finish(node, after, y_scale, y_zero)
    steps = steps_of(exact, y_scale, y_zero, graph.dtype)
    check(graph, model, {"lanewise:FusedQLinearConv"}, steps)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("a_shape", "b_shape", "form"),
    [
        ([5, 30], [30, 70], "MatMul"),
        ([2, 3, 9], [9, 20], "MatMul"),
        ([2, 4, 9], [2, 9, 20], "stack"),
        ([1, 100], [65, 100], "Gemm"),
        ([7, 33], [33, 16], "relu"),
    ],
)
def test_product(a_shape: list[int], b_shape: list[int], form: str, signed: bool) -> None:
    graph = Graph(len(a_shape), signed)
    a_scale, a_zero = graph.parameters(graph.dtype)
    inputs = [graph.value(a_shape, a_scale, a_zero)]
    transposed = form == "Gemm"
    columns = b_shape[0] if transposed else b_shape[-1]
    count = 1 if form == "stack" else columns
    axis = 0 if transposed else 1
    b, b_scale = graph.weight(b_shape, "int8", count, axis, True)
    inputs.append(b)
    op, attributes = "MatMul", {}
    if form in ("Gemm", "relu"):
        op, attributes = "Gemm", {"transB": int(transposed)}
        values = graph.rng.integers(-3000, 3000, columns).astype(np.int32)
        inputs.append(graph.dequantise(values, a_scale * b_scale, None, graph.constant(values)))
    node = helper.make_node(op, inputs, ["r"], **attributes)
    exact = graph.exact(node)
    y_scale = np.float32(np.abs(exact).max() / 100)
    y_zero = np.array(0 if signed else 128, graph.dtype)
    after = helper.make_node("Relu", ["r"], ["a"]) if form == "relu" else None
    model = graph.finish(node, after, y_scale, y_zero)
    if after is not None:
        exact = np.maximum(exact, 0)
    steps = steps_of(exact, y_scale, y_zero, graph.dtype)
    check(graph, model, {"lanewise:FusedQLinearMatMul"}, steps)


# Operator, attributes, how many inputs, what it becomes.
ELEMENT_WISE: list[tuple[str, dict[str, Any], int, str]] = [
    ("Add", {}, 2, "com.microsoft:QLinearAdd"),
    ("Mul", {}, 2, "com.microsoft:QLinearMul"),
    ("Concat", {"axis": 1}, 3, "com.microsoft:QLinearConcat"),
    ("GlobalAveragePool", {}, 1, "com.microsoft:QLinearGlobalAveragePool"),
    (
        "AveragePool",
        {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]},
        1,
        "com.microsoft:QLinearAveragePool",
    ),
    ("Relu", {}, 1, "com.microsoft:QLinearLeakyRelu"),
    ("LeakyRelu", {"alpha": 0.2}, 1, "com.microsoft:QLinearLeakyRelu"),
    ("Sigmoid", {}, 1, "com.microsoft:QLinearSigmoid"),
]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("after", [None, "Relu", "Clip"])
@pytest.mark.parametrize(("op", "attributes", "count", "becomes"), ELEMENT_WISE)
def test_element_wise(
    op: str, attributes: dict[str, Any], count: int, becomes: str, after: str | None, signed: bool
) -> None:
    graph = Graph(count, signed)
    inputs = [graph.value([2, 5, 7, 6], *graph.parameters(graph.dtype)) for _ in range(count)]
    node = helper.make_node(op, inputs, ["r"], **attributes)
    exact = graph.exact(node)
    y_scale = np.float32(np.abs(exact).max() / 110)
    y_zero = np.array(3 if signed else 117, graph.dtype)
    last = None
    wanted = {becomes}
    if after == "Relu":
        last = helper.make_node("Relu", ["r"], ["a"])
        exact = np.maximum(exact, 0)
        wanted.add("Clip")
    elif after == "Clip":
        low, high = np.float32(-0.1), np.float32(0.6 * exact.max())
        last = helper.make_node("Clip", ["r", graph.constant(low), graph.constant(high)], ["a"])
        exact = np.clip(exact, low, high)
        wanted.add("Clip")
    model = graph.finish(node, last, y_scale, y_zero)
    check(graph, model, wanted, steps_of(exact, y_scale, y_zero, graph.dtype))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("op", "attributes", "more"),
    [
        ("MaxPool", {"kernel_shape": [2, 3], "pads": [1, 1, 0, 1], "strides": [1, 2]}, []),
        ("Transpose", {"perm": [0, 2, 3, 1]}, []),
        ("Reshape", {}, [np.array([0, -1], np.int64)]),
        ("Flatten", {"axis": 2}, []),
        ("Concat", {"axis": 1}, []),
    ],
)
def test_moving(op: str, attributes: dict[str, Any], more: list[Array], signed: bool) -> None:
    graph = Graph(7, signed)
    scale, zero = graph.parameters(graph.dtype)
    inputs = [graph.value([2, 4, 6, 5], scale, zero) for _ in range(2 if op == "Concat" else 1)]
    node = helper.make_node(op, inputs + [graph.constant(m) for m in more], ["r"], **attributes)
    model = graph.finish(node, None, scale, zero)
    check(graph, model, {op} - {"Reshape", "Flatten"})


def test_what_the_rule_does_not_cover_stays() -> None:
    """Sums that may overflow int32, scales that the caller gives, and values that others read."""
    graph = Graph(1, False)
    scale = np.float32(0.01)
    zero = np.array(0, np.uint8)
    x = graph.value([1, 70000], scale, zero)
    w, _ = graph.weight([70000, 2], "int8", 1, 0, True)
    model = graph.finish(helper.make_node("MatMul", [x, w], ["r"]), None, scale, zero)
    operators = {layer.op for layer in lw.load(model).profile(graph.feed).layers}
    assert "MatMul" in operators and "QuantizeLinear" in operators

    graph = Graph(2, False)
    x = graph.value([1, 8], scale, zero)
    node = helper.make_node("Mul", [x, x], ["r"])
    model = graph.finish(node, None, scale, zero)
    assert {layer.op for layer in lw.load(model).profile(graph.feed).layers} == {
        "com.microsoft:QLinearMul"
    }
    both = lw.load(model).run(graph.feed, outputs=["r", "y"])
    np.testing.assert_allclose(both["r"], graph.real[x] ** 2, rtol=1e-6)
    model.graph.initializer.remove(next(i for i in model.graph.initializer if i.name == "c0"))
    model.graph.input.append(helper.make_tensor_value_info("c0", TensorProto.FLOAT, []))
    loaded = lw.load(model)
    feed = {**graph.feed, "c0": np.array(scale)}
    assert "Mul" in {layer.op for layer in loaded.profile(feed).layers}


@pytest.mark.parametrize(("low", "high"), [(-129, 255), (0, 256), (7, 6)])
def test_bounds_are_bytes(low: int, high: int) -> None:
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    arrays = {"a": np.zeros((2, 3), np.uint8), "as": one, "az": zero}
    arrays |= {"b": np.zeros((3, 4), np.uint8), "bs": one, "bz": zero, "ys": one, "yz": zero}
    bounds = {"low": low, "high": high}
    model = model_of("FusedQLinearMatMul", arrays, "uint8", domain="lanewise", **bounds)
    with pytest.raises(lw.ModelError, match="low <= high <= 255"):
        lw.load(model).run(arrays)
