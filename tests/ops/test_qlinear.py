"""com.microsoft's quantised operators: within one step of the exact value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.ops.quantised import (
    MS,
    Array,
    Arrays,
    bytes_of,
    check_everywhere,
    model_of,
    quantized,
    run,
    scale,
)


def dequantized(arrays: Arrays, name: str) -> Array:
    """(x - zero) * scale in float64."""
    zero = arrays[f"{name}_zero"]
    values: Array = arrays[name].astype(np.float64)
    return (values - float(zero)) * float(arrays[f"{name}_scale"])


def operands(rng: np.random.Generator, dtype: str, **shapes: Sequence[int]) -> Arrays:
    """Named arrays, each with its scale and zero point, and those of the result."""
    result: Arrays = {}
    for name, shape in shapes.items():
        result[name] = bytes_of(rng, shape, dtype)
        result[f"{name}_scale"] = scale(float(rng.uniform(0.01, 0.05)))
        result[f"{name}_zero"] = np.array(rng.integers(20, 100), dtype)
    return result


def check_against(
    op: str, arrays: Arrays, values: Array, y_scale: float, dtype: str, **attributes: Any
) -> None:
    """Within one step of the exact value, in whichever direction a tie or a product falls."""
    arrays = arrays | {"y_scale": scale(y_scale), "y_zero": np.array(17, dtype)}
    expected = quantized(values, arrays["y_scale"], arrays["y_zero"], dtype)
    model = model_of(op, arrays, dtype, domain=MS, **attributes)
    check_everywhere(model, arrays, expected, steps=1)
    share = np.mean(run(model, arrays) != expected) if expected.size else 0.0
    assert share < 0.01  # only ties and neighbours of ties may differ


PAIRS = [
    ((3, 5, 7), (3, 5, 7)),
    ((3, 5, 7), (7,)),
    ((1,), (4, 9)),
    ((), (6,)),
    ((2, 1, 5), (1, 3, 1)),
    ((2, 16, 9, 9), (2, 16, 9, 9)),
    ((0, 4), (1, 4)),
]


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_qlinear_add_and_mul(a: tuple[int, ...], b: tuple[int, ...], dtype: str) -> None:
    arrays = operands(np.random.default_rng(10), dtype, a=a, b=b)
    left, right = dequantized(arrays, "a"), dequantized(arrays, "b")
    check_against("QLinearAdd", arrays, left + right, 0.07, dtype)
    check_against("QLinearMul", arrays, left * right, 0.3, dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_qlinear_tables(dtype: str) -> None:
    arrays = operands(np.random.default_rng(11), dtype, x=(5, 300))
    x = dequantized(arrays, "x")
    check_against("QLinearSigmoid", arrays, 1 / (1 + np.exp(-x)), 1 / 256, dtype)
    check_against("QLinearLeakyRelu", arrays, np.where(x < 0, 0.2 * x, x), 0.04, dtype, alpha=0.2)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(("axis", "opset"), [(1, 13), (-1, 13), (0, 13), (1, 12), (0, 9)])
def test_qlinear_softmax(dtype: str, axis: int, opset: int) -> None:
    arrays = operands(np.random.default_rng(12), dtype, x=(3, 4, 5))
    x = dequantized(arrays, "x")
    axes = tuple(range(axis, 3)) if opset < 13 else axis
    e = np.exp(x - x.max(axes, keepdims=True))
    check_against(
        "QLinearSoftmax",
        arrays,
        e / e.sum(axes, keepdims=True),
        1 / 256,
        dtype,
        axis=axis,
        opset=opset,
    )


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_qlinear_concat(dtype: str, axis: int) -> None:
    rng = np.random.default_rng(13)
    shapes = [[2, 3, 4, 5] for _ in range(3)]
    for i, shape in enumerate(shapes):
        shape[axis] += i
    parts = operands(rng, dtype, a=shapes[0], b=shapes[1], c=shapes[2])
    arrays = {"y_scale": scale(0.03), "y_zero": np.array(9, dtype)} | parts
    joined = np.concatenate([dequantized(arrays, n) for n in "abc"], axis)
    expected = quantized(joined, arrays["y_scale"], arrays["y_zero"], dtype)
    check_everywhere(
        model_of("QLinearConcat", arrays, dtype, domain=MS, axis=axis), arrays, expected, steps=1
    )


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    "shape", [(1, 3, 7, 7), (2, 70, 5, 4), (2, 5, 9), (1, 2, 3, 4, 5)], ids=str
)
def test_qlinear_global_average_pool(dtype: str, shape: tuple[int, ...]) -> None:
    arrays = operands(np.random.default_rng(14), dtype, x=shape)
    x = dequantized(arrays, "x")
    spatial = tuple(range(2, len(shape)))
    check_against("QLinearGlobalAveragePool", arrays, x.mean(spatial, keepdims=True), 0.02, dtype)
    between = tuple(range(1, len(shape) - 1))
    last = x.mean(between, keepdims=True)
    check_against("QLinearGlobalAveragePool", arrays, last, 0.02, dtype, channels_last=1)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((1, 3, 8, 8), {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ((2, 18, 7, 9), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ((2, 18, 7, 9), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ((1, 4, 8, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ((1, 4, 11), {"kernel_shape": [3], "strides": [2]}),
    ],
    ids=str,
)
def test_qlinear_average_pool(
    dtype: str, shape: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    arrays = operands(np.random.default_rng(15), dtype, x=shape)
    node = helper.make_node("AveragePool", ["x"], ["y"], **attributes)
    infos = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in ("x", "y")]
    graph = helper.make_graph([node], "p", infos[:1], infos[1:])
    reference = ReferenceEvaluator(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    )
    (means,) = reference.run(None, {"x": dequantized(arrays, "x")})
    check_against("QLinearAveragePool", arrays, np.asarray(means), 0.02, dtype, **attributes)


@pytest.mark.parametrize(
    "op",
    [
        "QLinearAdd",
        "QLinearMul",
        "QLinearConcat",
        "QLinearGlobalAveragePool",
        "QLinearAveragePool",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearSoftmax",
    ],
)
def test_contributed_operators_agree_with_onnx_runtime(op: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(16)
    arrays = (
        operands(rng, "uint8", a=(2, 32, 6, 6), b=(2, 32, 6, 6))
        if op in ("QLinearAdd", "QLinearMul", "QLinearConcat")
        else operands(rng, "uint8", x=(2, 32, 6, 6))
    )
    result = {
        "y_scale": scale(1 / 256 if "Softmax" in op or "Sigmoid" in op else 0.05),
        "y_zero": np.array(3, np.uint8),
    }
    arrays = result | arrays if op == "QLinearConcat" else arrays | result
    attributes: dict[str, dict[str, Any]] = {
        "QLinearConcat": {"axis": 1},
        "QLinearAveragePool": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        "QLinearSoftmax": {"axis": -1, "opset": 13},
    }
    model = model_of(op, arrays, "uint8", domain=MS, **attributes.get(op, {}))
    (expected,) = ort.InferenceSession(model.SerializeToString()).run(None, arrays)
    off = np.abs(run(model, arrays).astype(int) - expected.astype(int))
    assert off.max() <= 1
    assert np.mean(off) < 0.01
