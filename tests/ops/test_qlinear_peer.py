"""com.microsoft's quantised operators against ONNX Runtime: within one step of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from tests.ops.one_node import Array

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from tests.ops.test_contrib import model_of, ort

TYPES = ["uint8", "int8"]


def operand(rng: np.random.Generator, dtype: str, *shape: int) -> list[Array]:
    """Every value of the type, a scale and a zero point."""
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max + 1, shape).astype(dtype)
    return [values, *form(rng, dtype)]


def form(rng: np.random.Generator, dtype: str) -> list[Array]:
    """A scale and a zero point."""
    zero = rng.integers(-20, 20) + (128 if dtype == "uint8" else 0)
    return [np.array(rng.uniform(0.01, 0.05), np.float32), np.array(zero, dtype)]


def compare(op: str, inputs: Sequence[Array | None], **attributes: Any) -> None:
    # There scales and zero points must be constants.
    constants = tuple(i for i, x in enumerate(inputs) if x is not None and x.ndim == 0)
    model = model_of(op, inputs, 1, constants, **attributes)
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None and i not in constants}
    want = ort.InferenceSession(model.SerializeToString()).run(None, feeds)[0]
    got = lw.load(model).run(feeds)["y0"]
    assert got.dtype == want.dtype and got.shape == want.shape
    steps = np.abs(got.astype(np.int64) - want.astype(np.int64))
    assert steps.max(initial=0) <= 1
    assert np.mean(steps != 0) < 0.02  # ties and products that round the other way


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("other", [(2, 3, 17), (17,), (3, 1)])
def test_binary(dtype: str, op: str, other: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(other))
    a, b = operand(rng, dtype, 2, 3, 17), operand(rng, dtype, *other)
    compare(op, [*a, *b, *form(rng, dtype)])


@pytest.mark.parametrize("dtype", TYPES)
def test_unary(dtype: str) -> None:
    rng = np.random.default_rng(1)
    x = operand(rng, dtype, 5, 77)
    compare("QLinearLeakyRelu", [*x, *form(rng, dtype)], alpha=0.2)
    unit = [np.array(1 / 256, np.float32), np.array(0 if dtype == "uint8" else -128, dtype)]
    compare("QLinearSigmoid", [*x, *unit])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("padding", [0, 1])
def test_pools(dtype: str, padding: int) -> None:
    rng = np.random.default_rng(2)
    x = operand(rng, dtype, 2, 5, 9, 8)
    compare("QLinearGlobalAveragePool", [*x, *form(rng, dtype)], channels_last=0)
    compare("QLinearAveragePool", [*x, *form(rng, dtype)], kernel_shape=[3, 2], strides=[2, 1],
            pads=[1, 0, 1, 1], count_include_pad=padding)  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES)
def test_concat(dtype: str) -> None:
    rng = np.random.default_rng(3)
    parts = [x for n in (3, 1, 8) for x in operand(rng, dtype, 2, n, 5)]
    compare("QLinearConcat", [*form(rng, dtype), *parts], axis=1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm(dtype: str, bias: bool, trans_b: int) -> None:
    rng = np.random.default_rng(4)
    a = operand(rng, dtype, 5, 19)
    b = operand(rng, dtype, *((7, 19) if trans_b else (19, 7)))
    c = rng.integers(-5000, 5000, 7).astype(np.int32) if bias else None
    compare("QGemm", [*a, *b, c, np.array(0.05, np.float32), a[2]], transB=trans_b, alpha=0.7)


@pytest.mark.parametrize("dtype", TYPES)
def test_where(dtype: str) -> None:
    rng = np.random.default_rng(5)
    x, y = operand(rng, dtype, 4, 6), operand(rng, dtype, 1, 6)
    compare("QLinearWhere", [rng.random((4, 6)) < 0.5, *x, *y, *form(rng, dtype)])


@pytest.mark.parametrize("dtype", [*TYPES, "uint16", "int16"])
def test_quantize_and_dequantize(dtype: str) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(0, 2, (3, 50)).astype(np.float32)
    scale, zero = np.array(0.03, np.float32), np.array(40, dtype)
    compare("QuantizeLinear", [x, scale, zero])
    info = np.iinfo(dtype)
    q = rng.integers(info.min, info.max + 1, (3, 50)).astype(dtype)
    compare("DequantizeLinear", [q, scale, zero])
