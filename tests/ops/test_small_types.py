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
          "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"]  # fmt: skip
EVERY = [*FLOATS, "float8_e8m0fnu", "int4", "uint4", "int2", "uint2"]
BITS = {"float4": 4, "float6": 6, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}


def dtype_of(name: str) -> Any:
    return np.dtype(getattr(ml_dtypes, name, name))


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
    x = every_code(name)[1 : count + 1]
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    fields = helper.make_tensor("x0", kind, x.shape, x.astype(np.float32))
    for tensor in (numpy_helper.from_array(x, "x0"), fields):  # raw bytes, and int32_data
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


@pytest.mark.parametrize("name", FLOATS[4:])
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


@pytest.mark.parametrize("name", EVERY)
def test_text_and_back(name: str) -> None:
    x = every_code(name)
    if name == "float8_e8m0fnu":
        x = x[120:140]  # the others' decimals are long
    text = run("Cast", [x], to=8)
    plain = [t.replace("nan", "NaN") for t in text]
    kind = int(helper.np_dtype_to_tensor_dtype(x.dtype))
    got = run("Cast", [np.array(plain, object)], to=kind, saturate=0)  # infinity stays
    np.testing.assert_array_equal(got.astype(np.float32), x.astype(np.float32))
    if "int" in name:
        assert list(text) == [str(int(v)) for v in x]


def test_integers_keep_their_low_bits() -> None:
    x = np.array([2**24 + 5, -(2**40) + 3, 200, -9, 2**62 + 7], np.int64)
    for name, bits in (("uint4", 4), ("uint2", 2)):
        kind = int(helper.np_dtype_to_tensor_dtype(dtype_of(name)))
        np.testing.assert_array_equal(run("Cast", [x], to=kind).astype(np.int64), x & (2**bits - 1))


def test_wide_numbers_round_once() -> None:
    # Just above the middle of two float8 values, by less than float32 can tell; and the same of
    # bfloat16 by less than float64 can.
    x = np.array([1.0625 + 2.0**-40, -1.0625 - 2.0**-40])
    assert run("Cast", [x], to=17).astype(np.float64).tolist() == [1.125, -1.125]
    n = np.array([2**60 + 2**52 + 1, -(2**60) - 2**52 - 1, 2**60 + 2**52, 2**53 + 2**45])
    expected = np.array([2**60 + 2**53, -(2**60) - 2**53, 2**60, 2**53], np.float64)
    np.testing.assert_array_equal(run("Cast", [n], to=16).astype(np.float64), expected)


@pytest.mark.parametrize("a_type", ["float8_e4m3fn", "float8_e5m2", "int8"])
@pytest.mark.parametrize("y_type", ["float8_e4m3fn", "float8_e5m2fnuz", "uint8"])
def test_products_of_quantised_floats(a_type: str, y_type: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(-8, 8, (2, 3, 4)).astype(dtype_of(a_type))
    b = (rng.integers(-16, 16, (4, 5)) / 4).astype(ml_dtypes.float8_e4m3fn)
    a_scale = np.array([0.5, 0.25, 1.0], np.float32)
    b_scale = np.array([1, 2, 0.5, 0.25, 1], np.float32)
    y_scale = np.array(0.5, np.float32)
    a_zero, b_zero = np.ones(3, a.dtype), np.zeros(5, b.dtype)
    y_zero = np.array(0 if "float" in y_type else 100).astype(dtype_of(y_type))
    got = run("QLinearMatMul", [a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero])
    left = (a.astype(np.float64) - 1) * a_scale[:, None]
    exact = left @ (b.astype(np.float64) * b_scale) / 0.5 + float(y_zero)
    low, high = (0, 255) if y_type == "uint8" else (-448, 448)
    wanted = np.clip(np.rint(exact) if y_type == "uint8" else exact, low, high)
    np.testing.assert_array_equal(got.astype(np.float32), wanted.astype(got.dtype).astype("f4"))
    fails("QLinearMatMul", [a, a_scale, a_zero[:2], b, b_scale, b_zero, y_scale, y_zero],
          "must have 1 or 3 values")  # fmt: skip
