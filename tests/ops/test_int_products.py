"""Integer convolutions and products: sums are exact, and so is their requantisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.ops.quantised import Array, bytes_of, check_everywhere, model_of, scale

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
    ((2, 3, 5, 5), (0, 3, 3, 3), {}),
    ((2, 0, 5, 5), (4, 0, 3, 3), {}),
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
        "y_scale": scale(0.02 * 0.02 * np.sqrt(np.prod(w_shape[1:]) + 1) * 100),
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
