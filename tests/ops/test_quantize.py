"""Quantised operators: sums are exact, results within one step where products are rounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import lanewise as lw
from lanewise import _core

Array = NDArray[Any]
Arrays = dict[str, Any]  # arrays by name; None for an input that is left out
ISAS = _core.isas()
MS = "com.microsoft"


def model_of(
    op: str,
    arrays: Arrays,
    dtype: Any,
    constants: Sequence[str] = (),
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """One node over the arrays in order; None stands for an input that is left out."""
    names = [name if array is not None else "" for name, array in arrays.items()]
    while names and not names[-1]:
        names.pop()
    node = helper.make_node(op, names, ["y"], domain=domain, **attributes)
    inputs = [
        helper.make_tensor_value_info(
            n, helper.np_dtype_to_tensor_dtype(arrays[n].dtype), arrays[n].shape
        )
        for n in names
        if n and n not in constants
    ]
    y = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
    weights = [numpy_helper.from_array(arrays[n], n) for n in constants]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
    return helper.make_model(
        helper.make_graph([node], op, inputs, [y], weights), opset_imports=opsets, ir_version=10
    )


def run(model: onnx.ModelProto, arrays: Arrays, **options: Any) -> Array:
    """Output y."""
    loaded = lw.load(model, **options)
    return loaded.run({info.name: arrays[info.name] for info in loaded.inputs})["y"]


def check_everywhere(
    model: onnx.ModelProto, arrays: Arrays, expected: Array, steps: int = 0
) -> None:
    """Every ISA with one and two threads gives one result, at most `steps` from the expected."""
    first: Array | None = None
    for isa in ISAS:
        for threads in (1, 2):
            got = run(model, arrays, isa=isa, threads=threads)
            assert got.dtype == expected.dtype and got.shape == expected.shape
            first = got if first is None else first
            np.testing.assert_array_equal(got, first, f"isa {isa}, {threads} threads")
    assert first is not None
    off = np.abs(first.astype(np.int64) - expected.astype(np.int64))
    assert off.max(initial=0) <= steps


def bytes_of(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Every value of the type is as likely."""
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, list(shape)).astype(dtype)


def scale(value: float | Sequence[float]) -> Array:
    """float32, a scalar or a vector."""
    return np.array(value, np.float32)


def quantized(values: Array, y_scale: Array, zero: Array, dtype: str) -> Array:
    """clamp(round(values / scale) + zero) in float32, halves to even."""
    info = np.iinfo(dtype)
    rounded = np.rint(np.asarray(values, np.float32) / y_scale).astype(np.int64) + zero.astype(
        np.int64
    )
    return np.clip(rounded, info.min, info.max).astype(dtype)


TYPES = ["uint8", "int8", "uint16", "int16"]
SIZES = [(0,), (1,), (5, 17), (3, 0, 2), (2, 3, 5, 7), (1, 70000)]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_quantize_whole_tensors(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    spread = float(np.iinfo(dtype).max)
    arrays = {
        "x": (rng.standard_normal(shape) * spread).astype(np.float32),
        "s": scale(0.75),
        "z": np.array(np.iinfo(dtype).max // 3, dtype),
    }
    expected = quantized(arrays["x"], arrays["s"], arrays["z"], dtype)
    check_everywhere(model_of("QuantizeLinear", arrays, dtype), arrays, expected)


def test_rounding_is_to_even_and_saturates() -> None:
    values = [
        -1e30,
        -130.5,
        -2.5,
        -1.5,
        -0.5,
        0.0,
        0.5,
        1.5,
        2.5,
        126.5,
        127.5,
        1e30,
        np.inf,
        -np.inf,
    ]
    arrays = {"x": np.array(values, np.float32), "s": scale(1.0), "z": np.array(0, np.int8)}
    expected = np.array([-128, -128, -2, -2, 0, 0, 0, 2, 2, 126, 127, 127, 127, -128], np.int8)
    check_everywhere(model_of("QuantizeLinear", arrays, "int8"), arrays, expected)


def test_nan_becomes_the_zero_point() -> None:
    arrays = {"x": np.full(40, np.nan, np.float32), "s": scale(0.5), "z": np.array(7, np.uint8)}
    check_everywhere(model_of("QuantizeLinear", arrays, "uint8"), arrays, np.full(40, 7, np.uint8))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("dtype", TYPES)
def test_axes(axis: int, dtype: str) -> None:
    rng = np.random.default_rng(2)
    shape = (3, 5, 11)
    x = (rng.standard_normal(shape) * 100).astype(np.float32)
    n = shape[axis]
    s, z = rng.uniform(0.5, 2, n).astype(np.float32), rng.integers(0, 100, n).astype(dtype)
    along = [1, 1, 1]
    along[axis] = n
    arrays = {"x": x, "s": s, "z": z}
    q = quantized(x, s.reshape(along), z.reshape(along), dtype)
    check_everywhere(model_of("QuantizeLinear", arrays, dtype, axis=axis), arrays, q)
    arrays = {"x": q, "s": s, "z": z}
    expected = (q.astype(np.float32) - z.reshape(along).astype(np.float32)) * s.reshape(along)
    for isa in ISAS:
        got = run(model_of("DequantizeLinear", arrays, "float32", axis=axis), arrays, isa=isa)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("block", [1, 2, 3, 4, 9])
def test_blocks(axis: int, block: int) -> None:
    rng = np.random.default_rng(3)
    shape = [4, 6, 5]
    blocks = list(shape)
    blocks[axis] = -(-shape[axis] // block)
    s = rng.uniform(0.5, 2, blocks).astype(np.float32)
    z = rng.integers(-20, 20, blocks).astype(np.int8)
    x = (rng.standard_normal(shape) * 40).astype(np.float32)
    full_s, full_z = (np.repeat(a, block, axis).take(range(shape[axis]), axis) for a in (s, z))
    arrays = {"x": x, "s": s, "z": z}
    q = quantized(x, full_s, full_z, "int8")
    check_everywhere(
        model_of("QuantizeLinear", arrays, "int8", axis=axis, block_size=block), arrays, q
    )
    arrays = {"x": q, "s": s, "z": z}
    got = run(model_of("DequantizeLinear", arrays, "float32", axis=axis, block_size=block), arrays)
    np.testing.assert_array_equal(got, (q - full_z.astype(np.float32)) * full_s)


@pytest.mark.parametrize("dtype", [*TYPES, "int32"])
def test_dequantize_whole_tensors(dtype: str) -> None:
    rng = np.random.default_rng(4)
    x = (
        bytes_of(rng, (7, 33), dtype)
        if dtype != "int32"
        else rng.integers(-(2**20), 2**20, (7, 33)).astype(dtype)
    )
    arrays = {"x": x, "s": scale(0.125), "z": None if dtype == "int32" else np.array(3, dtype)}
    expected = (x.astype(np.float32) - (0 if dtype == "int32" else 3)) * np.float32(0.125)
    for isa in ISAS:
        np.testing.assert_array_equal(
            run(model_of("DequantizeLinear", arrays, "float32"), arrays, isa=isa), expected
        )


def test_quantize_defaults_and_integers() -> None:
    arrays: Arrays = {
        "x": np.array([-3.0, 2.5, 300.0], np.float32),
        "s": scale(1.0),
        "z": None,
    }
    np.testing.assert_array_equal(
        run(model_of("QuantizeLinear", arrays, "uint8"), arrays), np.array([0, 2, 255], np.uint8)
    )
    model = model_of("QuantizeLinear", arrays, "int16", output_dtype=TensorProto.INT16)
    np.testing.assert_array_equal(run(model, arrays), np.array([-3, 2, 300], np.int16))
    arrays["x"] = np.array([-3, 5, 300], np.int32)
    arrays["s"] = scale(2.0)
    got = run(model_of("QuantizeLinear", arrays, "uint8"), arrays)
    np.testing.assert_array_equal(got, np.array([0, 2, 150], np.uint8))


@pytest.mark.parametrize(
    "values",
    [[0.0, 2.0, -3.0, -2.5, 1.34, 0.5], [-1.0, -2.1, -1.3], [1.0, 2.1, 3.7], [0.0], [0.0, 0.0]],
)
def test_dynamic_quantize(values: list[float]) -> None:
    x = np.array(values, np.float32)
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    outputs = [
        helper.make_tensor_value_info(n, t, None)
        for n, t in (("y", TensorProto.UINT8), ("s", TensorProto.FLOAT), ("z", TensorProto.UINT8))
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    model = helper.make_model(
        helper.make_graph([node], "d", inputs, outputs), opset_imports=[helper.make_opsetid("", 21)]
    )
    got = lw.load(model).run({"x": x})
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    s = np.float32((np.float32(high) - np.float32(low)) / np.float32(255)) or np.float32(1)
    z = np.uint8(np.clip(np.rint(-np.float32(low) / s), 0, 255))
    assert got["s"] == s and got["z"] == z
    np.testing.assert_array_equal(got["y"], quantized(x, s, z, "uint8"))


# Shape of the input, of the weights, and attributes.
CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 3, 9, 7), (5, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((2, 8, 6, 6), (70, 8, 1, 1), {}),
    ((1, 16, 10, 11), (33, 16, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 3]}),
    ((1, 4, 12, 12), (6, 4, 3, 3), {"dilations": [2, 3], "auto_pad": "SAME_UPPER"}),
    ((2, 6, 7, 7), (9, 2, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    ((1, 20, 8, 9), (20, 1, 3, 3), {"group": 20, "pads": [1, 1, 1, 1], "strides": [2, 1]}),
    ((1, 6, 5, 5), (12, 1, 2, 2), {"group": 6}),
    ((3, 5, 13), (4, 5, 4), {"pads": [2, 1]}),
    ((1, 3, 5, 6, 4), (7, 3, 2, 3, 2), {"pads": [0, 1, 1, 1, 0, 1]}),
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((0, 3, 5, 5), (4, 3, 3, 3), {}),
]


def exact_convolution(x: Array, w: Array, attributes: dict[str, Any]) -> Array:
    """Sums in float64, exact for these integers, by ONNX's reference implementation."""
    batch = max(1, x.shape[0])
    padded = np.resize(x, (batch, *x.shape[1:])).astype(np.float64)
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    infos = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in ("x", "w", "y")]
    model = helper.make_model(
        helper.make_graph([node], "c", infos[:2], infos[2:]),
        opset_imports=[helper.make_opsetid("", 21)],
    )
    (y,) = ReferenceEvaluator(model).run(None, {"x": padded, "w": w.astype(np.float64)})
    return np.asarray(y[: x.shape[0]], np.int64)


@pytest.mark.parametrize(("x_shape", "w_shape", "attributes"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(
    ("x_type", "w_type"),
    [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8"), ("int8", "uint8")],
)
def test_conv_integer(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    attributes: dict[str, Any],
    x_type: str,
    w_type: str,
) -> None:
    rng = np.random.default_rng(5)
    arrays = {"x": bytes_of(rng, x_shape, x_type), "w": bytes_of(rng, w_shape, w_type)}
    arrays["x_zero"] = np.array(11, x_type)
    arrays["w_zero"] = bytes_of(rng, w_shape[:1], w_type)
    differences = [arrays[n].astype(np.int64) for n in arrays]
    w_zero = differences[3].reshape(-1, *[1] * (len(w_shape) - 1))
    expected = exact_convolution(differences[0] - 11, differences[1] - w_zero, attributes).astype(
        np.int32
    )
    for constants in (["w", "w_zero"], []):
        model = model_of("ConvInteger", arrays, "int32", constants, **attributes)
        check_everywhere(model, arrays, expected)


@pytest.mark.parametrize(("x_shape", "w_shape", "attributes"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("x_type", "w_type", "y_type"), [("uint8", "int8", "uint8"), ("int8", "int8", "int8")]
)
def test_qlinear_conv(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    attributes: dict[str, Any],
    per_channel: bool,
    x_type: str,
    w_type: str,
    y_type: str,
) -> None:
    rng = np.random.default_rng(6)
    m = w_shape[0]
    arrays = {
        "x": bytes_of(rng, x_shape, x_type),
        "x_scale": scale(0.02),
        "x_zero": np.array(100, x_type),
        "w": bytes_of(rng, w_shape, w_type),
        "w_scale": rng.uniform(0.01, 0.03, m).astype(np.float32) if per_channel else scale(0.02),
        "w_zero": bytes_of(rng, (m,), w_type) if per_channel else np.array(-3, w_type),
        "y_scale": scale(0.02 * 0.02 * np.sqrt(np.prod(w_shape[1:])) * 100),
        "y_zero": np.array(60, y_type),
        "bias": rng.integers(-5000, 5000, m).astype(np.int32),
    }
    column = (-1, *[1] * (len(w_shape) - 1))
    w = arrays["w"].astype(np.int64) - arrays["w_zero"].astype(np.int64).reshape(
        column if per_channel else ()
    )
    sums = exact_convolution(arrays["x"].astype(np.int64) - 100, w, attributes)
    broadcast = (-1, *[1] * (len(x_shape) - 2))
    sums = sums + arrays["bias"].reshape(broadcast)
    factor = arrays["x_scale"] * arrays["w_scale"] / arrays["y_scale"]
    factor = factor.reshape(broadcast) if per_channel else factor
    info = np.iinfo(y_type)
    # One float32 product, then one rounding: the very operations of the kernel.
    expected = np.clip(np.rint(sums.astype(np.float32) * factor) + 60, info.min, info.max).astype(
        y_type
    )
    for constants in ([n for n in arrays if n != "x"], []):
        model = model_of("QLinearConv", arrays, y_type, constants, **attributes)
        check_everywhere(model, arrays, expected)


def test_sums_of_extreme_values_are_exact() -> None:
    x = np.full((1, 300, 3, 3), 255, np.uint8)
    w = np.full((2, 300, 3, 3), -128, np.int8)
    w[1] = 127
    arrays = {"x": x, "w": w}
    sums = np.array([255 * -128 * 2700, 255 * 127 * 2700], np.int32).reshape(1, 2, 1, 1)
    check_everywhere(model_of("ConvInteger", arrays, "int32"), arrays, sums)


PRODUCTS = [
    ((4, 5), (5, 3)),
    ((1, 1), (1, 1)),
    ((130, 67), (67, 71)),
    ((5,), (5, 3)),
    ((3, 5), (5,)),
    ((7,), (7,)),
    ((2, 3, 4, 5), (3, 5, 6)),
    ((4, 5), (2, 1, 5, 6)),
    ((0, 5), (5, 3)),
    ((3, 0), (0, 4)),
    ((2, 3, 4), (4, 0)),
]


@pytest.mark.parametrize(("a", "b"), PRODUCTS, ids=str)
@pytest.mark.parametrize(
    ("a_type", "b_type"), [("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8")]
)
def test_matmul_integer(a: tuple[int, ...], b: tuple[int, ...], a_type: str, b_type: str) -> None:
    rng = np.random.default_rng(7)
    arrays = {"a": bytes_of(rng, a, a_type), "b": bytes_of(rng, b, b_type)}
    arrays["a_zero"], arrays["b_zero"] = np.array(12, a_type), np.array(5, b_type)
    expected = np.matmul(arrays["a"].astype(np.int64) - 12, arrays["b"].astype(np.int64) - 5)
    for constants in ([], ["b", "b_zero"]):
        model = model_of("MatMulInteger", arrays, "int32", constants)
        check_everywhere(model, arrays, np.asarray(expected, np.int32))


def test_zero_points_of_rows_and_columns() -> None:
    rng = np.random.default_rng(8)
    arrays = {"a": bytes_of(rng, (6, 9), "uint8"), "b": bytes_of(rng, (9, 7), "int8")}
    arrays["a_zero"], arrays["b_zero"] = bytes_of(rng, (6,), "uint8"), bytes_of(rng, (7,), "int8")
    a = arrays["a"].astype(np.int64) - arrays["a_zero"].astype(np.int64)[:, None]
    b = arrays["b"].astype(np.int64) - arrays["b_zero"].astype(np.int64)
    check_everywhere(model_of("MatMulInteger", arrays, "int32"), arrays, (a @ b).astype(np.int32))


@pytest.mark.parametrize(("a", "b"), PRODUCTS, ids=str)
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("y_type", ["uint8", "int8"])
def test_qlinear_matmul(a: tuple[int, ...], b: tuple[int, ...], rows: bool, y_type: str) -> None:
    rng = np.random.default_rng(9)
    m, n = (a[-2] if len(a) > 1 else 1), (b[-1] if len(b) > 1 else 1)
    arrays = {
        "a": bytes_of(rng, a, "uint8"),
        "a_scale": rng.uniform(0.01, 0.02, m).astype(np.float32) if rows else scale(0.015),
        "a_zero": bytes_of(rng, (m,), "uint8") if rows else np.array(120, np.uint8),
        "b": bytes_of(rng, b, "int8"),
        "b_scale": rng.uniform(0.01, 0.02, n).astype(np.float32) if rows else scale(0.015),
        "b_zero": bytes_of(rng, (n,), "int8") if rows else np.array(-3, np.int8),
        "y_scale": scale(0.015 * 0.015 * np.sqrt(a[-1] + 1) * 100),
        "y_zero": np.array(50, y_type),
    }
    column = (slice(None), None) if rows and len(a) > 1 else ()
    left = arrays["a"].astype(np.int64) - arrays["a_zero"].astype(np.int64)[column]
    b_zero = arrays["b_zero"].astype(np.int64)
    right = arrays["b"].astype(np.int64) - (
        b_zero if len(b) > 1 else b_zero.reshape(()) if b_zero.size == 1 else b_zero
    )
    sums = np.matmul(left, right)
    a_scale = arrays["a_scale"][column] if len(a) > 1 else arrays["a_scale"].reshape(-1)[:1]
    factor = a_scale * arrays["b_scale"] / arrays["y_scale"]
    if len(b) == 1 and len(a) > 1 and rows:
        factor = factor[:, 0]
    info = np.iinfo(y_type)
    product = sums.astype(np.float32) * factor
    expected = np.clip(np.rint(product) + 50, info.min, info.max).astype(y_type).reshape(sums.shape)
    for constants in (["b", "b_zero"], []):
        check_everywhere(model_of("QLinearMatMul", arrays, y_type, constants), arrays, expected)


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
    ("op", "arrays", "attributes", "message"),
    [
        (
            "QuantizeLinear",
            {"x": np.zeros((2, 3), np.float32), "s": scale([1, 2])},
            {},
            "one for each of the 3 along axis 1",
        ),
        (
            "QuantizeLinear",
            {"x": np.zeros((2, 3), np.float32), "s": scale(1), "z": np.zeros(2, np.int8)},
            {},
            "must have one shape",
        ),
        (
            "QuantizeLinear",
            {"x": np.zeros((2, 3), np.float32), "s": scale([1, 2])},
            {"axis": 2},
            "'axis' is 2, expected -2 to 1",
        ),
        (
            "QuantizeLinear",
            {"x": np.zeros((2, 3), np.float32), "s": scale([1])},
            {"block_size": 2},
            r"must have shape \[2, 2\]",
        ),
        (
            "DequantizeLinear",
            {"x": np.zeros(3, np.int8), "s": scale(1), "z": np.uint8(1)},
            {},
            "one type",
        ),
        (
            "MatMulInteger",
            {"a": np.zeros((2, 3), np.int8), "b": np.zeros((4, 2), np.int8)},
            {},
            "cannot be multiplied",
        ),
        (
            "MatMulInteger",
            {
                "a": np.zeros((2, 3), np.int8),
                "b": np.zeros((3, 2), np.int8),
                "z": np.zeros(3, np.int8),
            },
            {},
            "must have 1 or 2 values",
        ),
        (
            "ConvInteger",
            {"x": np.zeros((1, 3, 4, 4), np.int8), "w": np.zeros((2, 2, 1, 1), np.int8)},
            {},
            "does not fit weights",
        ),
        (
            "ConvInteger",
            {"x": np.zeros((1, 3, 4, 4), np.int8), "w": np.zeros((2, 3, 1, 1), np.int8)},
            {"kernel_shape": [2, 2]},
            "'kernel_shape' is",
        ),
    ],
)
def test_errors_name_what_is_wrong(
    op: str, arrays: dict[str, Any], attributes: dict[str, Any], message: str
) -> None:
    given = {n: np.asarray(a) for n, a in arrays.items()}
    with pytest.raises(lw.ModelError, match=message):
        run(model_of(op, given, "int8" if op == "QuantizeLinear" else "int32", **attributes), given)


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


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"])
def test_small_floats(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(getattr(ml_dtypes, name))
    x = np.linspace(-5, 5, 21, dtype=np.float32).reshape(3, 7)
    s = scale([0.5, 1.0, 2.0])
    arrays = {"x": x, "s": s, "z": np.zeros(3, dtype)}
    q = run(model_of("QuantizeLinear", arrays, dtype, axis=0), arrays)
    assert q.dtype == dtype
    largest = float(ml_dtypes.finfo(dtype).max)
    expected = np.clip(x / s[:, None], -largest, largest).astype(dtype)
    np.testing.assert_array_equal(q.astype(np.float32), expected.astype(np.float32))
    arrays = {"x": q, "s": s}
    got = run(model_of("DequantizeLinear", arrays, "float32", axis=0), arrays)
    np.testing.assert_array_equal(got, q.astype(np.float32) * s[:, None])
