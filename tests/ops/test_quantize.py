"""QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: exact in every granularity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import lanewise as lw
from tests.ops.quantised import (
    ISAS,
    Arrays,
    bytes_of,
    check_everywhere,
    model_of,
    quantized,
    run,
    scale,
)

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
