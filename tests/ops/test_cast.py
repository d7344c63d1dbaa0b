"""Cast and CastLike between all number types, bool and strings."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.ops.one_node import Array, fails, run

NUMBERS = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64,
           np.uint8, np.uint16, np.uint32, np.uint64, np.bool_]  # fmt: skip


def cast(x: Array, to: int, **options: Any) -> Array:
    return np.asarray(run("Cast", [x], to=to, **options))


def code(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


@pytest.mark.parametrize("source", NUMBERS)
@pytest.mark.parametrize("target", NUMBERS)
def test_numbers(source: Any, target: Any) -> None:
    x = np.array([[0, 1, 2, 3, 100], [7, 0, 55, 126, 127]]).astype(source)
    expected = x.astype(target)
    got = cast(x, code(target))
    assert got.dtype == np.dtype(target)
    np.testing.assert_array_equal(got, expected)
    like = run("CastLike", [x, np.zeros(1, target)])
    np.testing.assert_array_equal(like, expected)


def test_integers_wrap_around() -> None:
    x = np.array([200, -200, 70000, -(2**40) - 5], np.int64)
    for target in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.uint64):
        np.testing.assert_array_equal(cast(x, code(target)), x.astype(target))


@pytest.mark.parametrize("source", [np.float32, np.float64])
@pytest.mark.parametrize("target", NUMBERS[3:-1])
def test_floats_saturate(source: Any, target: Any) -> None:
    info = np.iinfo(target)
    x = np.array([1e30, -1e30, np.inf, -np.inf, np.nan, 2.9, -0.9], source)
    expected = np.array([info.max, info.min, info.max, info.min, 0, 2, 0], target)
    np.testing.assert_array_equal(cast(x, code(target)), expected)


def test_negative_zero_and_nan_to_bool() -> None:
    x = np.array([0.0, -0.0, np.nan, 1e-45, -3], np.float32)
    np.testing.assert_array_equal(cast(x, TensorProto.BOOL), [False, False, True, True, True])


def test_double_rounds_once_to_half() -> None:
    rng = np.random.default_rng(1)
    # Next to the middle of two float16 values, where rounding through float32 goes astray.
    near = rng.normal(size=2000).astype(np.float16).astype(np.float64)
    step = np.spacing(near.astype(np.float16)).astype(np.float64) / 2
    x = np.concatenate([near + step, near + step * (1 + 1e-12), near + step * (1 - 1e-12)])
    np.testing.assert_array_equal(cast(x, TensorProto.FLOAT16), x.astype(np.float16))


def test_bfloat16() -> None:
    x = np.random.default_rng(2).normal(size=500).astype(np.float32)
    narrow = cast(x, TensorProto.BFLOAT16)
    expected = x.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(narrow.view(np.uint16), expected.view(np.uint16))
    np.testing.assert_array_equal(cast(expected, TensorProto.FLOAT), expected.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("FLOAT8E4M3FN", ml_dtypes.float8_e4m3fn),
        ("FLOAT8E4M3FNUZ", ml_dtypes.float8_e4m3fnuz),
        ("FLOAT8E5M2", ml_dtypes.float8_e5m2),
        ("FLOAT8E5M2FNUZ", ml_dtypes.float8_e5m2fnuz),
    ],
)
def test_float8(name: str, dtype: Any) -> None:
    """There and back: what an 8-bit float holds is exact, the rest rounds to nearest even."""
    every = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)
    middle = np.sort(every[np.isfinite(every)])
    x = np.concatenate([every, (middle[1:] + middle[:-1]) / 2, middle * np.float32(1.01)])
    x = x[np.isfinite(x) & (np.abs(x) <= middle.max())]
    nodes = [
        helper.make_node("Cast", ["x"], ["t"], to=getattr(TensorProto, name)),
        helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
    )
    import lanewise as lw

    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", onnx.defs.onnx_opset_version())]
    )
    got = lw.load(model).run({"x": x})["y"]
    np.testing.assert_array_equal(got, x.astype(dtype).astype(np.float32))


def test_numbers_from_text() -> None:
    text = np.array(
        ["3.14", "1e-5", "1E8", "+INF", "inf", "-inf", "NaN", " 42 ", "-7"], dtype=object
    )
    exact = np.array([3.14, 1e-5, 1e8, np.inf, np.inf, -np.inf, np.nan, 42, -7])
    for dtype in (np.float32, np.float64, np.float16):
        got = cast(text, code(dtype), constants=[0])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(got, exact.astype(dtype))
    whole = np.array(["0", "100.5", "-3", "9223372036854775807"], dtype=object)
    expected = [0, 100, -3, 2**63 - 1]
    np.testing.assert_array_equal(cast(whole, TensorProto.INT64, constants=[0]), expected)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.int64, np.uint8, np.bool_]
)
def test_text_of_numbers(dtype: Any) -> None:
    x = np.array([0, 1, 0.1, 2.5, 1e-7, 1e20, 123456.79, 1 / 3, 255])
    if np.dtype(dtype).kind in "iu":
        x = np.array([0, 1, 255, 42])
    with np.errstate(over="ignore"):
        given = x.astype(dtype)
    got = cast(given, TensorProto.STRING)
    assert [str(text) for text in got] == [str(value) for value in given]


def test_refusals() -> None:
    fails("Cast", [np.array(["12x"], dtype=object)], "'12x' is not a number", to=TensorProto.FLOAT,
          constants=[0])  # fmt: skip
    fails("Cast", [np.ones(2, np.float32)], "complex", to=TensorProto.COMPLEX64)
    fails("Cast", [np.ones(2, np.float32)], "expected a TensorProto data type", to=99)
