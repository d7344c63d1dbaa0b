"""Tensors made from shapes and scalars, and results whose size depends on the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from tests.ops.one_node import Array, fails, reference, run


def test_shape_and_size() -> None:
    x = np.zeros((2, 0, 4), np.float32)
    np.testing.assert_array_equal(run("Shape", [x]), [2, 0, 4])
    np.testing.assert_array_equal(run("Shape", [x], start=-2), [0, 4])
    np.testing.assert_array_equal(run("Shape", [x], start=-9, end=-1), [2, 0])
    assert run("Shape", [x], start=2, end=1).shape == (0,)
    assert run("Size", [x]) == 0
    assert run("Size", [np.zeros((), np.int8)]) == 1


def test_constant_of_shape() -> None:
    shape = np.array([2, 3], np.int64)
    np.testing.assert_array_equal(run("ConstantOfShape", [shape]), np.zeros((2, 3), np.float32))
    value = numpy_helper.from_array(np.array([7], np.int8))
    y = run("ConstantOfShape", [shape], value=value)
    assert y.dtype == np.int8
    np.testing.assert_array_equal(y, np.full((2, 3), 7))
    assert run("ConstantOfShape", [np.zeros(0, np.int64)]).shape == ()
    fails("ConstantOfShape", [np.array([-1], np.int64)], "negative dimension")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32, np.int64])
def test_range(dtype: Any) -> None:
    for start, limit, delta in [(0, 10, 3), (5, -5, -3), (3, 3, 1), (3, 1, 1), (-7, 8, 5)]:
        inputs = [np.array(v, dtype) for v in (start, limit, delta)]
        np.testing.assert_array_equal(
            run("Range", inputs), np.arange(start, limit, delta).astype(dtype)
        )
    fails("Range", [np.array(v, dtype) for v in (0, 1, 0)], "'delta' is 0")


def test_range_at_the_ends_of_int64() -> None:
    low, high = -(2**63), 2**63 - 1
    inputs = [np.array(v, np.int64) for v in (low, high, 2**62)]
    np.testing.assert_array_equal(run("Range", inputs), [low, low // 2, 0, 2**62])
    inputs = [np.array(v, np.int64) for v in (high, low, low)]
    np.testing.assert_array_equal(run("Range", inputs), [high, -1])


def test_eye_like_and_trilu() -> None:
    x = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    for k in (-9, -2, 0, 3, 9):
        np.testing.assert_array_equal(run("EyeLike", [x], k=k), np.eye(4, 6, k))
        eye = run("EyeLike", [x], k=k, dtype=TensorProto.INT32)
        assert eye.dtype == np.int32
        for y in (x, np.stack([x, -x])):
            np.testing.assert_array_equal(run("Trilu", [y, np.int64(k)]), np.triu(y, k))
            np.testing.assert_array_equal(run("Trilu", [y, np.int64(k)], upper=0), np.tril(y, k))
    fails("EyeLike", [x[0]], "rank 2")
    fails("Trilu", [x[0]], "rank 2 or more")


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_one_hot(axis: int, dtype: Any) -> None:
    at = np.array([[0, 2, 9], [4, 1, 5]], dtype)
    if dtype != np.uint8:
        at[0, 0], at[1, 1] = -1, -6
    values = np.array([-1, 3], np.int32)
    y = run("OneHot", [at, np.int64(5), values], axis=axis)
    hot = np.where(at < 0, at.astype(np.int64) + 5, at.astype(np.int64))
    want = np.where(np.expand_dims(hot, axis) == np.arange(5).reshape(
        [5 if i == axis % 3 else 1 for i in range(3)]), 3, -1)  # fmt: skip
    np.testing.assert_array_equal(y, want)
    fails("OneHot", [at, np.int64(-1), values], "'depth' must be one number >= 0")


def test_non_zero() -> None:
    rng = np.random.default_rng(5)
    for shape in [(7,), (3, 4, 5), (2, 0), (1, 1)]:
        x = rng.integers(0, 2, shape)
        for dtype in (np.bool_, np.float32, np.int64, np.float16):
            np.testing.assert_array_equal(
                run("NonZero", [x.astype(dtype)]), np.stack(np.nonzero(x))
            )
    np.testing.assert_array_equal(run("NonZero", [np.array([-0.0, np.nan], np.float32)]), [[1]])


def test_compress() -> None:
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    keep = np.array([True, False, True])
    np.testing.assert_array_equal(run("Compress", [x, keep], axis=1), np.compress(keep, x, 1))
    np.testing.assert_array_equal(run("Compress", [x, keep]), [0, 2])
    none = np.zeros(2, np.bool_)
    assert run("Compress", [x, none], axis=-1).shape == (2, 3, 0)
    fails("Compress", [x, np.ones(4, np.bool_)], "at most 3", axis=1)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("ordered", [0, 1])
def test_unique(axis: int | None, ordered: int) -> None:
    x = np.random.default_rng(6).integers(0, 2, (5, 6)).astype(np.float32)
    x[1] = x[3]
    x[:, 2] = x[:, 0]
    options: dict[str, Any] = {} if axis is None else {"axis": axis}
    got = run("Unique", [x], outputs=4, sorted=ordered, **options)
    values, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
    if not ordered:
        order = np.argsort(first)
        values = np.take(values, order, 0 if axis is None else axis)
        first, counts = first[order], counts[order]
        inverse = np.argsort(order)[inverse]
    for one, want in zip(got, (values, first, inverse.ravel(), counts), strict=True):
        np.testing.assert_array_equal(one, want)


def test_unique_of_text_and_nan() -> None:
    text = np.array(["b", "a", "b"], object)
    np.testing.assert_array_equal(run("Unique", [text]), np.array(["a", "b"], object))
    x = np.array([np.nan, 1, np.nan], np.float32)
    np.testing.assert_array_equal(run("Unique", [x]), [1, np.nan])


@pytest.mark.parametrize("time", [0, 1])
def test_reverse_sequence(time: int) -> None:
    x = np.random.default_rng(9).normal(size=(4, 4, 3)).astype(np.float32)
    lengths = np.array([1, 4, 2, 0], np.int64)
    y = run("ReverseSequence", [x, lengths], time_axis=time, batch_axis=1 - time)
    want = x.copy()
    for b, n in enumerate(lengths):
        at = (slice(0, n), b) if time == 0 else (b, slice(0, n))
        want[at] = x[at][::-1]
    np.testing.assert_array_equal(y, want)
    bad = np.array([1, 5, 2, 3], np.int64)
    fails(
        "ReverseSequence",
        [x, bad],
        "sequence length 5 at position 1 is out of range; expected 0 to 4",
    )


def test_col2im() -> None:
    rng = np.random.default_rng(4)
    x = rng.integers(-9, 9, (2, 3 * 6, 12)).astype(np.float32)
    inputs: list[Array] = [x, np.array([5, 6], np.int64), np.array([2, 3], np.int64)]
    options: dict[str, Any] = {"strides": [2, 2], "pads": [1, 0, 1, 1], "dilations": [2, 1]}
    blocks = (3, 3)
    inputs[0] = np.ascontiguousarray(x[:, :, : blocks[0] * blocks[1]])
    np.testing.assert_array_equal(
        run("Col2Im", inputs, **options), reference("Col2Im", inputs, **options)
    )
    fails("Col2Im", [x, *inputs[1:]], "input must have shape", **options)


def test_a_shape_feeds_a_reshape() -> None:
    """Shape arithmetic folds: the middle of the graph is no obstacle to planning."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["t"], axis=0),
        helper.make_node("Reshape", ["x", "t"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.array([0], np.int64), "zero"),
                 numpy_helper.from_array(np.array([-1], np.int64), "rest")]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants,
    )  # fmt: skip
    session = lw.load(helper.make_model(graph))
    for n in (1, 4):
        x = np.random.default_rng(n).normal(size=(n, 2, 3)).astype(np.float32)
        np.testing.assert_array_equal(session(x), x.reshape(n, 6))


@pytest.mark.parametrize("stash", [1, 11])
def test_ranges_of_half_precision(stash: int) -> None:
    """Each element is computed in the stash type and rounded once."""
    start, limit, delta = (np.array(v, np.float16) for v in (2000.0, 2100.0, 0.3))
    got = run("Range", [start, limit, delta], stash_type=stash)
    wide = np.float32 if stash == 1 else np.float64
    exact = wide(2000) + np.arange(len(got)).astype(wide) * wide(delta)
    np.testing.assert_array_equal(got, exact.astype(np.float16))
    assert len(got) == int(np.ceil(100 / float(delta)))
    fails("Range", [start, limit, delta], "'stash_type' is 6", stash_type=6)
