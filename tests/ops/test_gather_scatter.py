"""Indexing operators against NumPy and onnx.reference, and indices out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from tests.ops.one_node import Array, fails, model, reference, run


def _data(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(7).integers(1, 100, shape).astype(dtype)


def _indices(size: int, *shape: int, dtype: Any = np.int64) -> Array:
    return np.random.default_rng(8).integers(-size, size, shape).astype(dtype)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float16, np.float32, np.int64, object])
def test_gather(index: type, dtype: Any) -> None:
    x = (
        _data(4, 5, 6).astype(str).astype(object)
        if dtype is object
        else _data(4, 5, 6, dtype=dtype)
    )
    for axis in (0, 1, -1):
        for shape in [(), (3,), (2, 2), (0,)]:
            at = _indices(x.shape[axis], *shape, dtype=index)
            np.testing.assert_array_equal(run("Gather", [x, at], axis=axis), np.take(x, at, axis))


def test_gather_in_parts() -> None:
    x, at = _data(100, 300), _indices(300, 5000)
    np.testing.assert_array_equal(run("Gather", [x, at], axis=1, threads=2), x[:, at])


@pytest.mark.parametrize(
    "op", ["Gather", "GatherElements", "ScatterElements", "ScatterND", "GatherND"]
)
def test_index_out_of_range(op: str) -> None:
    x = _data(3, 4)
    for bad in (3, -4):
        at = np.array([[0], [bad]], np.int64)
        inputs = [x, at]
        if op == "ScatterElements":
            inputs.append(np.ones((2, 1), np.float32))
        if op == "ScatterND":
            inputs.append(np.ones((2, 4), np.float32))
        fails(op, inputs, f"index {bad} at position 1 is out of range; expected -3 to 2")


def test_model_stays_usable_after_a_bad_index() -> None:
    x = _data(3, 4)
    session = lw.load(model("Gather", [x, np.array([0], np.int64)]))
    with pytest.raises(lw.ModelError):
        session.run({"x0": x, "x1": np.array([9], np.int64)})
    np.testing.assert_array_equal(
        session.run({"x0": x, "x1": np.array([2], np.int64)})["y0"], x[2:]
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_gather_elements(axis: int) -> None:
    x = _data(5, 6, 7)
    shape = [3, 4, 5]
    shape[axis] = 9
    at = _indices(x.shape[axis], *shape)
    part = x[tuple(slice(0, n if i != axis % 3 else None) for i, n in enumerate(shape))]
    want = np.take_along_axis(part, at, axis)
    np.testing.assert_array_equal(run("GatherElements", [x, at], axis=axis, threads=2), want)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.float16])
def test_scatter_elements(reduction: str, dtype: Any) -> None:
    x = _data(5, 6, dtype=dtype)
    for axis in (0, 1):
        at = (
            np.argsort(np.random.default_rng(3).random((3, 4)), axis)
            if reduction == "none"
            else _indices(3, 3, 4)
        )
        updates = (_data(3, 4) % 3).astype(dtype)
        y = run(
            "ScatterElements", [x, at.astype(np.int64), updates], axis=axis, reduction=reduction
        )
        want = reference(
            "ScatterElements", [x, at.astype(np.int64), updates], axis=axis, reduction=reduction
        )
        np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter_nd(reduction: str) -> None:
    x = _data(4, 5, 6)
    at = np.array([[[0, 1], [3, -1]], [[2, 2], [0, 0]]], np.int64)
    updates = _data(2, 2, 6) % 5
    y = run("ScatterND", [x, at, updates], reduction=reduction)
    np.testing.assert_array_equal(y, reference("ScatterND", [x, at, updates], reduction=reduction))


def test_repeated_indices() -> None:
    """Sums take every update; of plain writes the last one stays."""
    x = np.zeros((2, 3), np.float32)
    at = np.array([[0, 0, 0], [0, 0, 0]], np.int64)
    ones = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run("ScatterElements", [x, at, ones])[0], [3, 4, 5])
    total = run("ScatterElements", [x, at, ones], reduction="add")
    np.testing.assert_array_equal(total[0], [3, 5, 7])
    nd = run("ScatterND", [x, np.array([[1], [1]], np.int64), ones], reduction="add")
    np.testing.assert_array_equal(nd, [[0, 0, 0], [3, 5, 7]])


def test_scatter_text() -> None:
    x = np.array(["a", "b", "c"], object)
    at, text = np.array([2, 0], np.int64), np.array(["x", "y"], object)
    want = np.array(["y", "b", "x"], object)
    np.testing.assert_array_equal(run("ScatterElements", [x, at, text]), want)
    fails("ScatterElements", [x, at, text], "needs numbers", reduction="add")


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_gather_nd(batch: int) -> None:
    x = _data(2, 3, 4, 5)
    at = _indices(2, 2, 3, 2)
    y = run("GatherND", [x, at], batch_dims=batch)
    np.testing.assert_array_equal(y, reference("GatherND", [x, at], batch_dims=batch))


def test_shape_errors() -> None:
    x, at = _data(3, 4), _indices(2, 2, 2)
    fails("GatherElements", [x, _indices(2, 2)], "rank")
    fails("GatherElements", [x, _indices(3, 2, 5)], "larger", axis=0)
    fails("ScatterElements", [x, at, _data(2, 3)], "'updates' must have the shape of 'indices'")
    fails("ScatterND", [x, at, _data(3)], "'updates' must have shape [2]")
    fails("GatherND", [x, _indices(2, 2, 3)], "must be 1 to 2")
    fails("GatherND", [x, at], "'batch_dims' is 2", batch_dims=2)
    fails("ScatterND", [x, at, _data(2)], "expected none, add", reduction="sum")
