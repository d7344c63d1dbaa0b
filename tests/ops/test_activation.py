"""Activations against their definitions in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import ISAS, fails, float32_samples, run

Float64 = NDArray[np.float64]
erf = np.vectorize(math.erf)


def sigmoid(x: Float64) -> Float64:
    return np.asarray(np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))))


def softplus(x: Float64) -> Float64:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def elu(x: Float64, alpha: float) -> Float64:
    return np.asarray(np.where(x < 0, alpha * np.expm1(x), x))


def gelu_tanh(x: Float64) -> Float64:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))


def shrink(x: Float64, lambd: float, bias: float) -> Float64:
    middle = np.where(np.isnan(x), x, 0)
    return np.asarray(np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, middle)))


F = Callable[[Float64], Any]
CASES: list[tuple[str, dict[str, Any], F]] = [
    ("Relu", {}, lambda x: np.maximum(x, 0)),
    ("LeakyRelu", {}, lambda x: np.where(x < 0, np.float32(0.01) * x, x)),
    ("LeakyRelu", {"alpha": 0.25}, lambda x: np.where(x < 0, 0.25 * x, x)),
    ("Elu", {}, lambda x: elu(x, 1)),
    ("Elu", {"alpha": 2.5}, lambda x: elu(x, 2.5)),
    ("Selu", {}, lambda x: 1.05070102214813232421875 * elu(x, 1.67326319217681884765625)),
    ("Selu", {"alpha": 2.0, "gamma": 3.0}, lambda x: 3 * elu(x, 2)),
    ("Celu", {"alpha": 2.0}, lambda x: np.maximum(0, x) + np.minimum(0, 2 * np.expm1(x / 2))),
    ("Sigmoid", {}, sigmoid),
    ("Tanh", {}, np.tanh),
    ("HardSigmoid", {}, lambda x: np.clip(np.float32(0.2) * x + 0.5, 0, 1)),
    ("HardSigmoid", {"alpha": 0.5, "beta": 0.75}, lambda x: np.clip(0.5 * x + 0.75, 0, 1)),
    ("HardSwish", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    ("Softplus", {}, softplus),
    ("Softsign", {}, lambda x: x / (1 + np.abs(x))),
    ("Gelu", {}, lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2)))),
    ("Gelu", {"approximate": "tanh"}, gelu_tanh),
    ("Mish", {}, lambda x: x * np.tanh(softplus(x))),
    ("ThresholdedRelu", {"alpha": 0.75}, lambda x: np.where(x <= 0.75, 0, x)),
    ("Shrink", {"lambd": 1.5, "bias": 0.25}, lambda x: shrink(x, 1.5, 0.25)),
    ("Swish", {"alpha": 1.5}, lambda x: x * sigmoid(1.5 * x)),
]


@pytest.mark.parametrize(("op", "attributes", "function"), CASES)
def test_float32(op: str, attributes: dict[str, Any], function: F) -> None:
    """Error at most 8 ulp of the result, or of 1 times |x| where a difference cancels."""
    x = np.random.default_rng(1).normal(0, 5, 3 * 37 * 41).astype(np.float32).reshape(3, 37, 41)
    exact = function(x.astype(np.float64))
    bound = 8 * 2.0**-24 * np.maximum(np.abs(exact), np.minimum(np.abs(x), 1))
    for isa in ISAS:
        for channels_last in (False, True):
            got = run(op, [x], isa=isa, channels_last=channels_last, **attributes)
            assert np.all(np.abs(got - exact) <= bound), (isa, np.max(np.abs(got - exact) / bound))


@pytest.mark.parametrize(("op", "attributes", "function"), CASES)
def test_every_float32_is_safe(op: str, attributes: dict[str, Any], function: F) -> None:
    """NaN gives NaN; results are finite where the exact ones fit well into float32."""
    x = float32_samples(np.random.default_rng(2), 20_000)
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
    got = run(op, [x], **attributes)
    assert np.all(np.isnan(got[np.isnan(x)]))
    fits = np.abs(exact) < 1e37
    assert np.all(np.isfinite(got[fits & np.isfinite(x)]))


@pytest.mark.parametrize(("op", "attributes", "function"), CASES)
def test_float64_and_float16(op: str, attributes: dict[str, Any], function: F) -> None:
    x = np.random.default_rng(3).normal(0, 3, (2, 3, 5))
    np.testing.assert_allclose(run(op, [x], **attributes), function(x), rtol=1e-7, atol=1e-7)
    half = x.astype(np.float16)
    exact = function(half.astype(np.float64))
    np.testing.assert_allclose(run(op, [half], **attributes), exact, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_integer_relu(dtype: type[np.signedinteger[Any]]) -> None:
    x = np.array([-128, -1, 0, 1, 127], dtype)
    np.testing.assert_array_equal(run("Relu", [x]), np.maximum(x, 0))


NUMBERS = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64,
           np.uint8, np.uint16, np.uint32, np.uint64]  # fmt: skip


@pytest.mark.parametrize("dtype", NUMBERS)
def test_clip(dtype: type[np.generic]) -> None:
    x = np.random.default_rng(4).integers(0, 100, (3, 19)).astype(dtype)
    low, high = np.array(20, dtype), np.array(70, dtype)
    for constants in ((), (1, 2)):
        np.testing.assert_array_equal(
            run("Clip", [x, low, high], constants=constants), np.clip(x, low, high)
        )
        np.testing.assert_array_equal(
            run("Clip", [x, high, low], constants=constants), np.full_like(x, low)
        )
    np.testing.assert_array_equal(run("Clip", [x, low]), np.maximum(x, low))
    np.testing.assert_array_equal(run("Clip", [x, None, high]), np.minimum(x, high))
    np.testing.assert_array_equal(run("Clip", [x]), x)


def test_clip_passes_nan() -> None:
    x = np.array([np.nan, -np.inf, np.inf, 0], np.float32)
    got = run("Clip", [x, np.array(-1, np.float32), np.array(1, np.float32)])
    np.testing.assert_array_equal(got, np.array([np.nan, -1, 1, 0], np.float32))


def test_integer_shrink() -> None:
    x = np.array([-3, -1, 0, 1, 3], np.int32)
    np.testing.assert_array_equal(run("Shrink", [x], lambd=1.5, bias=1.0), [-2, 0, 0, 0, 2])


def test_refusals() -> None:
    x = np.ones(3, np.float32)
    fails("Gelu", [x], "expected 'none' or 'tanh'", approximate="erf")
    fails("Celu", [x], "it divides", alpha=0.0)
    fails("Clip", [x, np.ones(2, np.float32)], "must be one number")
    fails("Relu", [np.ones(3, np.uint8)], "found uint8")
