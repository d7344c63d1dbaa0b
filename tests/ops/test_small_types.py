"""Numbers of eight bits and fewer: every code, in files, arrays, casts, scales and tests."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import lanewise as lw
from tests.ops.one_node import fails, model, run

Array = NDArray[Any]
FLOATS = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
          "float4_e2m1fn"]  # fmt: skip
EVERY = [*FLOATS, "float8_e8m0fnu", "int4", "uint4", "int2", "uint2"]
BITS = {"float4": 4, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}


def dtype_of(name: str) -> Any:
    return np.dtype(getattr(ml_dtypes, name))


def every_code(name: str) -> Array:
    """All values of the type; integers as ml_dtypes makes them."""
    bits = BITS.get(name.split("_")[0], 8)
    if "int" in name:
        low = 0 if name.startswith("u") else -(2 ** (bits - 1))
        return np.arange(low, low + 2**bits).astype(dtype_of(name))
    return np.arange(2**bits, dtype=np.uint8).view(dtype_of(name))


@pytest.mark.parametrize("name", EVERY)
def test_every_code_widens(name: str) -> None:
    x = every_code(name)
    got = run("Cast", [x], to=1)
    np.testing.assert_array_equal(got, x.astype(np.float32))


@pytest.mark.parametrize("name", FLOATS)
def test_rounding_is_to_nearest_even(name: str) -> None:
    dtype = dtype_of(name)
    values = np.sort(every_code(name).astype(np.float32))
    values = values[np.isfinite(values)]
    between = (values[1:].astype(np.float64) + values[:-1]) / 2
    x = np.concatenate([between, np.nextafter(between, 99), np.nextafter(between, -99), values])
    x = x.astype(np.float32)
    got = run("Cast", [x], to=int(helper.np_dtype_to_tensor_dtype(dtype)))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.astype(np.float32), x.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_constants_are_unpacked(name: str, count: int) -> None:
    x = every_code(name)[:count]
    tensor = numpy_helper.from_array(x, "x0")
    constant = helper.make_node("Constant", [], ["x0"], value=tensor)
    proto = model("Identity", [x])
    del proto.graph.input[:]
    proto.graph.node.insert(0, constant)
    got = lw.load(proto)()
    assert isinstance(got, np.ndarray) and got.dtype == x.dtype
    np.testing.assert_array_equal(got.astype(np.float32), x.astype(np.float32))


@pytest.mark.parametrize("name", EVERY)
def test_data_moves(name: str) -> None:
    x = every_code(name)[:4].reshape(2, 2)
    wide = x.astype(np.float32)
    same = [("Identity", [x], {}, wide), ("Transpose", [x], {"perm": [1, 0]}, wide.T),
            ("Reshape", [x, np.array([4])], {}, wide.reshape(4))]  # fmt: skip
    for op, inputs, attributes, wanted in same:
        got = run(op, inputs, **attributes)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got.astype(np.float32), wanted)


@pytest.mark.parametrize("name", ["float4_e2m1fn"])
def test_quantised_floats(name: str) -> None:
    dtype = dtype_of(name)
    x = np.linspace(-40, 40, 41, dtype=np.float32)
    s = np.array(2.0, np.float32)
    got = run("QuantizeLinear", [x, s, np.zeros((), dtype)])
    largest = float(ml_dtypes.finfo(dtype).max)
    wanted = np.clip(x / s, -largest, largest).astype(dtype)
    np.testing.assert_array_equal(got.astype(np.float32), wanted.astype(np.float32))
    back = run("DequantizeLinear", [got, s])
    np.testing.assert_array_equal(back, got.astype(np.float32) * s)


def test_scales_that_are_powers_of_two() -> None:
    scale = np.array([0.25, 8.0], np.float32).astype(ml_dtypes.float8_e8m0fnu)
    x = np.array([[1.0, -3.0], [100.0, 20.0]], np.float32)
    zero = np.zeros(2, np.int8)
    q = run("QuantizeLinear", [x, scale, zero], axis=0)
    np.testing.assert_array_equal(q, [[4, -12], [12, 2]])  # 12.5 and 2.5 round to even
    back = run("DequantizeLinear", [q, scale, zero], axis=0, output_dtype=1)
    np.testing.assert_array_equal(back, [[1.0, -3.0], [96.0, 16.0]])
    fails("DequantizeLinear", [q, scale, zero], "set the attribute 'output_dtype'", axis=0)


@pytest.mark.parametrize("name", FLOATS[:4])
def test_tests_of_eight_bit_floats(name: str) -> None:
    x = every_code(name)
    wide = x.astype(np.float32)
    np.testing.assert_array_equal(run("IsNaN", [x]), np.isnan(wide))
    np.testing.assert_array_equal(run("IsInf", [x]), np.isinf(wide))


def test_zeros_of_strings_and_complex_numbers() -> None:
    text = np.array([["a", ""], ["", "b"]], object)
    np.testing.assert_array_equal(run("NonZero", [text]), [[0, 1], [0, 1]])
    z = np.array([0, 1j, 2, -0.0], np.complex64)
    np.testing.assert_array_equal(run("NonZero", [z]), [[1, 2]])


def test_half_precision_indices() -> None:
    hot = run(
        "OneHot", [np.array([1, 0], np.float16), np.array(3), np.array([0.0, 5.0], np.float16)]
    )
    np.testing.assert_array_equal(hot, [[0, 5, 0], [5, 0, 0]])
