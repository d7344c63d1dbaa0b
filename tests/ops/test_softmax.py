"""Softmax, LogSoftmax and Hardmax against float64, along every axis in both layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

import lanewise as lw
from tests.ops.one_node import ISAS, fails, run

Float64 = NDArray[np.float64]


def log_softmax(x: Float64, axis: Any) -> Float64:
    shifted = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


SHAPES = [(7,), (3, 1000), (2, 3, 5, 7), (1, 21, 6, 5), (4, 1, 33), (2, 40, 3), (1, 17, 2, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_axis(shape: tuple[int, ...]) -> None:
    """Softmax is within 8 ulp; its logarithm within 4 ulp of the largest shifted element."""
    x = np.random.default_rng(1).normal(0, 4, shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)):
        exact = log_softmax(x.astype(np.float64), axis)
        for isa in ISAS:
            for channels_last in (False, True):
                options = {"axis": axis, "isa": isa, "channels_last": channels_last, "threads": 2}
                got = run("Softmax", [x], **options)
                np.testing.assert_allclose(got, np.exp(exact), rtol=8 * 2.0**-24 * 4, atol=0)
                got = run("LogSoftmax", [x], **options)
                bound = 4 * 2.0**-23 * np.abs(exact).max()
                np.testing.assert_allclose(got, exact, rtol=0, atol=bound)
                hard = run("Hardmax", [x], **options)
                np.testing.assert_array_equal(hard, exact == exact.max(axis=axis, keepdims=True))


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_floats(dtype: Any) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 5)).astype(dtype)
    for axis in range(3):
        exact = np.exp(log_softmax(x.astype(np.float64), axis))
        bound = 1e-3 if dtype == np.float16 else 1e-14
        np.testing.assert_allclose(run("Softmax", [x], axis=axis), exact, rtol=bound)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_before_opset_13_dimensions_are_coerced(op: str, axis: int) -> None:
    x = np.random.default_rng(3).normal(size=(2, 3, 4, 5)).astype(np.float32)
    rows = x.reshape(int(np.prod(x.shape[:axis])), -1).astype(np.float64)
    exact = log_softmax(rows, 1)
    if op == "Softmax":
        exact = np.exp(exact)
    if op == "Hardmax":
        exact = np.asarray(exact == exact.max(axis=1, keepdims=True), np.float64)
    for channels_last in (False, True):
        got = run(op, [x], axis=axis, opset=11, channels_last=channels_last)
        np.testing.assert_allclose(got, exact.reshape(x.shape), rtol=1e-5, atol=1e-6)


def test_extreme_values() -> None:
    x = np.array(
        [[1000, 999, -1000], [-np.inf, 0, -np.inf], [np.nan, 0, 1], [3e38, -3e38, 0]], np.float32
    )
    got = run("Softmax", [x])
    np.testing.assert_allclose(got[0], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], rtol=1e-6)
    np.testing.assert_array_equal(got[1], [0, 1, 0])
    assert np.isnan(got[2]).all()
    np.testing.assert_array_equal(got[3], [1, 0, 0])
    columns = run("Softmax", [np.ascontiguousarray(x.T)], axis=0)
    np.testing.assert_allclose(columns.T, got, rtol=1e-6)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4), (2, 0, 3)])
def test_empty(shape: tuple[int, ...]) -> None:
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for axis in range(len(shape)):
            assert run(op, [np.zeros(shape, np.float32)], axis=axis).shape == shape


def test_a_fused_reader_keeps_the_input() -> None:
    """The input is read again after softmax: it must not have been overwritten."""
    x = np.random.default_rng(4).normal(size=(4, 9)).astype(np.float32)
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Softmax", ["a"], ["b"]),
        helper.make_node("Mul", ["a", "b"], ["y"]),
    ]
    value = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)]
    result = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, x.shape)]
    model = helper.make_model(helper.make_graph(nodes, "g", value, result))
    exact = -x * np.exp(log_softmax(-x.astype(np.float64), 1))
    np.testing.assert_allclose(lw.load(model).run({"x": x})["y"], exact, rtol=1e-5)


def test_refusals() -> None:
    fails("Softmax", [np.zeros((2, 3), np.float32)], "expected -2 to 1", axis=2)
    fails("Softmax", [np.zeros((2, 3), np.int32)], "found int32")
