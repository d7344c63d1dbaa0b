"""Functions of one operand against NumPy in float64: error in ulp on every ISA."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import ISAS, Array, fails, float32_samples, run, ulps

# Operator: the function in float64, and the largest error allowed in ulp of float32.
FLOATS: dict[str, tuple[Callable[..., Any], float]] = {
    "Abs": (np.abs, 0),
    "Neg": (np.negative, 0),
    "Sign": (np.sign, 0),
    "Floor": (np.floor, 0),
    "Ceil": (np.ceil, 0),
    "Round": (np.rint, 0),
    "Sqrt": (np.sqrt, 0.5),
    "Reciprocal": (np.reciprocal, 0.5),
    "Exp": (np.exp, 1.1),
    "Log": (np.log, 0.9),
    "Tanh": (np.tanh, 2.7),
    "Sigmoid": (lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))), 2.5),
    "Erf": (np.vectorize(math.erf), 1.4),
    "Sin": (np.sin, 2),
    "Cos": (np.cos, 2),
    "Tan": (np.tan, 2),
    "Asin": (np.arcsin, 2),
    "Acos": (np.arccos, 2),
    "Atan": (np.arctan, 2),
    "Sinh": (np.sinh, 2),
    "Cosh": (np.cosh, 2),
    "Asinh": (np.arcsinh, 2),
    "Acosh": (np.arccosh, 2),
    "Atanh": (np.arctanh, 2),
}


@pytest.mark.parametrize("op", FLOATS)
def test_float32_error(op: str) -> None:
    function, bound = FLOATS[op]
    x = float32_samples(np.random.default_rng(1), 60_000)
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
    for isa in ISAS:
        got = run(op, [x], isa=isa, threads=2)
        assert ulps(got, exact) <= bound, isa


@pytest.mark.parametrize("op", FLOATS)
def test_float64(op: str) -> None:
    x = np.random.default_rng(2).uniform(-3, 3, (3, 5, 7))
    with np.errstate(all="ignore"):
        expected = FLOATS[op][0](x)
    np.testing.assert_allclose(run(op, [x]), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("op", ["Exp", "Round", "Sin", "Abs"])
def test_float16_rounds_once(op: str) -> None:
    x = np.random.default_rng(3).normal(size=500).astype(np.float16)
    exact = FLOATS[op][0](x.astype(np.float64)).astype(np.float16)
    np.testing.assert_array_equal(run(op, [x]), exact)


def test_zeros_keep_their_sign() -> None:
    x = np.array([0.0, -0.0, -0.3], np.float32)
    for op in ("Ceil", "Round"):
        assert list(np.signbit(run(op, [x]))) == [False, True, True]
    for op in ("Floor", "Tanh", "Erf"):
        assert list(np.signbit(run(op, [x]))) == [False, True, True]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_integers(dtype: type[np.signedinteger[Any]]) -> None:
    least = np.iinfo(dtype).min
    x = np.array([0, 1, -1, 7, -100, np.iinfo(dtype).max, least], dtype)
    np.testing.assert_array_equal(run("Neg", [x]), -x)
    np.testing.assert_array_equal(run("Abs", [x]), np.abs(x))  # the least one is its own magnitude
    np.testing.assert_array_equal(run("Sign", [x]), np.sign(x))
    np.testing.assert_array_equal(run("BitwiseNot", [x]), ~x)


def test_unsigned() -> None:
    x = np.array([0, 1, 200, 255], np.uint8)
    for op, expected in {"Abs": x, "Sign": np.sign(x), "BitwiseNot": ~x}.items():
        np.testing.assert_array_equal(run(op, [x]), expected)


def test_truth() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, 1], np.float32)
    for given in (x, x.astype(np.float64), x.astype(np.float16)):
        np.testing.assert_array_equal(run("IsNaN", [given]), np.isnan(x))
        np.testing.assert_array_equal(run("IsInf", [given]), np.isinf(x))
        np.testing.assert_array_equal(run("IsInf", [given], detect_negative=0), x == np.inf)
        np.testing.assert_array_equal(run("IsInf", [given], detect_positive=0), x == -np.inf)
    np.testing.assert_array_equal(run("Not", [np.array([True, False])]), [False, True])


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 5, 7)])
@pytest.mark.parametrize("op", ["Exp", "Neg", "Sin", "IsNaN"])
def test_shapes(op: str, shape: tuple[int, ...]) -> None:
    x: Array = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    assert run(op, [x]).shape == shape
    assert run(op, [x], channels_last=True).shape == shape


def test_refusals() -> None:
    fails("Exp", [np.array([1], np.int32)], "floating-point")
    fails("BitwiseNot", [np.array([1.0], np.float32)], "found float32")
    fails("Not", [np.array([1.0], np.float32)], "bool")
