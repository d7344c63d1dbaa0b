"""Concat and Split against NumPy, in both layouts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.one_node import Array, fails, run


def _random(shape: tuple[int, ...], dtype: type = np.float32) -> Array:
    return np.random.default_rng(sum(shape)).integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_concat(axis: int, channels_last: bool) -> None:
    parts = []
    for size in (3, 1, 17):
        shape = [2, 5, 4, 6]
        shape[axis] = size
        parts.append(_random(tuple(shape)))
    y = run("Concat", parts, axis=axis, channels_last=channels_last, threads=2)
    np.testing.assert_array_equal(y, np.concatenate(parts, axis))


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.float16, np.int32, np.int64, np.float64, object]
)
def test_concat_types(dtype: type) -> None:
    a, b = _random((3, 2), np.int64), _random((3, 4), np.int64)
    if dtype is object:
        a, b = a.astype(str).astype(object), b.astype(str).astype(object)
    a, b = a.astype(dtype), b.astype(dtype)
    np.testing.assert_array_equal(run("Concat", [a, b], axis=1), np.concatenate([a, b], 1))


def test_concat_empty_parts() -> None:
    a = _random((2, 0, 3))
    b = _random((2, 4, 3))
    np.testing.assert_array_equal(run("Concat", [a, b, a], axis=1), b)


def test_concat_errors() -> None:
    a, b = _random((2, 3)), _random((2, 4))
    fails("Concat", [a, b], "may differ only in dimension 0", axis=0)
    fails("Concat", [a, b], "'axis' is 2", axis=2)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_split_by_sizes(axis: int, channels_last: bool) -> None:
    x = _random((6, 6, 5, 6))
    sizes = np.array([1, 0, 3, 2], np.int64)
    parts = run(
        "Split", [x, sizes], constants=[1], axis=axis, outputs=4, channels_last=channels_last
    )
    for got, want in zip(parts, np.split(x, [1, 1, 4], axis), strict=True):
        np.testing.assert_array_equal(got, want)


def test_split_by_count() -> None:
    x = _random((7, 3))
    parts = run("Split", [x], axis=0, outputs=3, num_outputs=3)
    for got, want in zip(parts, [x[:3], x[3:6], x[6:]], strict=True):
        np.testing.assert_array_equal(got, want)


def test_split_sizes_that_come_with_the_data() -> None:
    x = _random((5, 3))
    parts = run("Split", [x, np.array([4, 1], np.int64)], outputs=2)
    np.testing.assert_array_equal(parts[0], x[:4])
    np.testing.assert_array_equal(parts[1], x[4:])


@pytest.mark.parametrize("sizes", [[2, 2], [5], [6, -1], [2**62, 2**62, 2**62]])
def test_split_errors(sizes: list[int]) -> None:
    fails("Split", [_random((5, 3)), np.array(sizes, np.int64)], "whose sum is 5", outputs=2)
