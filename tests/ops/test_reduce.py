"""Reductions, arg-extremes, TopK and running sums against NumPy in float64."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import ISAS, Array, fails, run

Axes = tuple[int, ...] | None
REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
              "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"]  # fmt: skip


def reference(op: str, x: Array, axes: Axes, keep: bool) -> Array:
    """The definition in float64; integers stay integers where the sum is one."""
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x.astype(np.int64)
    options: dict[str, Any] = {"axis": axes, "keepdims": keep}
    with np.errstate(all="ignore"):
        if op == "ReduceLogSumExp":
            most = wide.max(axis=axes, keepdims=True)
            total = np.exp(wide - most).sum(axis=axes, keepdims=True)
            result = np.log(total) + most
            return np.asarray(result if keep else result.reshape(wide.max(axis=axes).shape))
        functions: dict[str, Any] = {
            "ReduceSum": lambda: wide.sum(**options),
            "ReduceMean": lambda: wide.mean(**options),
            "ReduceMax": lambda: wide.max(**options),
            "ReduceMin": lambda: wide.min(**options),
            "ReduceProd": lambda: wide.prod(**options),
            "ReduceL1": lambda: np.abs(wide).sum(**options),
            "ReduceL2": lambda: np.sqrt((wide * wide).sum(**options)),
            "ReduceLogSum": lambda: np.log(wide.sum(**options)),
            "ReduceSumSquare": lambda: (wide * wide).sum(**options),
        }
        return np.asarray(functions[op]())


def reduce(op: str, x: Array, axes: Axes, keep: bool = True, **options: Any) -> Array:
    inputs = [x] if axes is None else [x, np.array(axes, np.int64)]
    constants = [] if axes is None else [1]
    return np.asarray(run(op, inputs, constants=constants, keepdims=int(keep), **options))


def bound(op: str, x: Array, axes: Axes, keep: bool) -> Array:
    """Sums err by a few units of the sum of magnitudes, whatever the count (blocked summation)."""
    magnitudes = np.abs(x.astype(np.float64))
    unit = 2.0**-24
    if op in ("ReduceSum", "ReduceL1"):
        return np.asarray(70 * unit * magnitudes.sum(axis=axes, keepdims=keep) + 1e-30)
    if op == "ReduceMean":
        return np.asarray(70 * unit * magnitudes.mean(axis=axes, keepdims=keep) + 1e-30)
    if op in ("ReduceMax", "ReduceMin"):
        return np.asarray(0.0)
    return np.asarray(80 * unit * np.maximum(np.abs(reference(op, x, axes, keep)), 1e-30))


@pytest.mark.parametrize("op", REDUCTIONS)
def test_float32_any_axes(op: str) -> None:
    rng = np.random.default_rng(1)
    for shape in [(7,), (33, 5), (2, 3, 5, 7), (2, 70, 4, 5), (3, 1, 6)]:
        x = rng.uniform(0.1, 2, shape).astype(np.float32)
        if op not in ("ReduceLogSum", "ReduceProd"):
            x *= rng.choice([-1, 1], shape)
        for count in range(1, len(shape) + 1):
            for axes in combinations(range(len(shape)), count):
                for keep in (False, True):
                    exact = reference(op, x, axes, keep)
                    limit = bound(op, x, axes, keep) if op != "ReduceLogSum" else np.asarray(1e-5)
                    if op == "ReduceProd":
                        limit = 1e-6 * np.abs(exact) + 2.0**-148  # the unit below the normal range
                    for channels_last in (False, True):
                        got = reduce(op, x, axes, keep, channels_last=channels_last, threads=2)
                        assert got.shape == exact.shape
                        assert np.all(np.abs(got - exact) <= limit), (shape, axes, channels_last)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"])
@pytest.mark.parametrize("isa", ISAS)
def test_lengths_around_the_vectors(op: str, isa: str) -> None:
    rng = np.random.default_rng(2)
    for n in [1, 3, 4, 15, 16, 17, 63, 64, 65, 255, 257, 4095, 4096, 4099]:
        x = rng.normal(size=(2, n)).astype(np.float32)
        exact = reference(op, x, (1,), True)
        assert np.all(np.abs(reduce(op, x, (1,), isa=isa) - exact) <= bound(op, x, (1,), True)), n
        columns = np.ascontiguousarray(x.T)
        exact = reference(op, columns, (0,), True)
        got = reduce(op, columns, (0,), isa=isa)
        assert np.all(np.abs(got - exact) <= bound(op, columns, (0,), True)), n
        tall = rng.normal(size=(5, n)).astype(np.float32)
        exact = reference(op, tall, (0,), True)
        assert np.all(
            np.abs(reduce(op, tall, (0,), isa=isa) - exact) <= bound(op, tall, (0,), True)
        ), n


def test_a_long_sum_stays_accurate_and_does_not_depend_on_threads() -> None:
    x = np.random.default_rng(3).uniform(0, 1, 3_000_001).astype(np.float32)
    exact = x.astype(np.float64).sum()
    one = reduce("ReduceSum", x, None, threads=1)
    assert abs(float(one[0]) - exact) <= 2.0**-23 * exact
    np.testing.assert_array_equal(reduce("ReduceSum", x, None, threads=2), one)


def test_nan_and_infinity() -> None:
    for n in (5, 40, 200):
        x = np.random.default_rng(4).normal(size=(3, n)).astype(np.float32)
        x[0, n // 3], x[1, n - 1], x[2, 0] = np.nan, np.inf, -np.inf
        for given, axis in ((x, 1), (np.ascontiguousarray(x.T), 0)):
            for op in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceLogSumExp"):
                got = reduce(op, given, (axis,)).ravel()
                assert np.isnan(got[0]), op
                if op != "ReduceMin":
                    assert got[1] == np.inf, op
    assert reduce("ReduceLogSumExp", np.full(3, -np.inf, np.float32), None)[0] == -np.inf


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        (op, dtype)
        for op in REDUCTIONS
        for dtype in [np.float64, np.int32, np.int64, np.uint32, np.uint64]
        if dtype == np.float64 or not op.startswith("ReduceLog")  # logarithms are for floats
    ],
)
def test_other_types(op: str, dtype: Any) -> None:
    x = np.random.default_rng(5).integers(1, 5, (2, 3, 4)).astype(dtype)
    for axes in [None, (0,), (1,), (2,), (0, 2), (-1, -2)]:
        expected = reference(op, x, axes, True).astype(dtype)
        np.testing.assert_allclose(reduce(op, x, axes), expected, rtol=1e-12)


def test_bool_and_small_integers() -> None:
    x = np.array([[True, False], [False, False]])
    np.testing.assert_array_equal(reduce("ReduceMax", x, (1,), keep=False), [True, False])
    np.testing.assert_array_equal(reduce("ReduceMin", x, None, keep=False), False)
    y = np.array([[-100, 100], [5, 6]], np.int8)
    np.testing.assert_array_equal(reduce("ReduceMax", y, (0,), keep=False), [5, 100])


def test_no_elements() -> None:
    x = np.zeros((2, 0, 3), np.float32)
    starts = {"ReduceSum": 0, "ReduceProd": 1, "ReduceMax": -np.inf, "ReduceMin": np.inf,
              "ReduceMean": np.nan, "ReduceL1": 0, "ReduceL2": 0, "ReduceSumSquare": 0,
              "ReduceLogSum": -np.inf, "ReduceLogSumExp": -np.inf}  # fmt: skip
    for op, start in starts.items():
        np.testing.assert_array_equal(reduce(op, x, (1,), keep=False), np.full((2, 3), start))
        np.testing.assert_array_equal(reduce(op, x, (1, 2), keep=False), np.full(2, start))
        assert reduce(op, x, (0,), keep=False).shape == (0, 3)
    integers = np.zeros((0, 2), np.int32)
    info = np.iinfo(np.int32)
    for op, extreme in {"ReduceMax": info.min, "ReduceMin": info.max, "ReduceMean": 0}.items():
        np.testing.assert_array_equal(reduce(op, integers, (0,), keep=False), [extreme] * 2)


def test_no_axes() -> None:
    x = np.random.default_rng(6).uniform(1, 2, (2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(reduce("ReduceSum", x, None), x.sum(keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(reduce("ReduceSum", x, ()), x.sum(keepdims=True), rtol=1e-6)
    for axes in (None, ()):
        same = {"noop_with_empty_axes": 1}
        np.testing.assert_array_equal(reduce("ReduceSum", x, axes, **same), x)
        np.testing.assert_allclose(reduce("ReduceSumSquare", x, axes, **same), x * x, rtol=1e-6)
        np.testing.assert_allclose(reduce("ReduceLogSum", x, axes, **same), np.log(x), rtol=1e-5)
    scalar = np.array(3.0, np.float32)
    assert reduce("ReduceL2", scalar, None) == 3.0


def test_axes_given_at_run_time() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    got = run("ReduceSum", [x, np.array([-1, 0], np.int64)])
    np.testing.assert_array_equal(got, x.sum(axis=(0, 2), keepdims=True))


NUMBERS = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_arg_extremes(dtype: Any) -> None:
    x = np.random.default_rng(7).integers(0, 6, (4, 9, 5)).astype(dtype)
    for axis in range(-3, 3):
        for op, find in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
            expected = find(x, axis=axis)
            np.testing.assert_array_equal(run(op, [x], axis=axis, keepdims=0), expected)
            np.testing.assert_array_equal(run(op, [x], axis=axis), np.expand_dims(expected, axis))
            last = x.shape[axis] - 1 - find(np.flip(x, axis), axis=axis)
            np.testing.assert_array_equal(
                run(op, [x], axis=axis, keepdims=0, select_last_index=1), last
            )


def test_arg_extreme_of_nan_is_its_place() -> None:
    x = np.array([1, np.nan, 5, np.nan], np.float32)
    for op in ("ArgMax", "ArgMin"):
        assert run(op, [x])[0] == 1
        assert run(op, [x], select_last_index=1)[0] == 3


@pytest.mark.parametrize("dtype", NUMBERS)
def test_topk(dtype: Any) -> None:
    x = np.random.default_rng(8).integers(0, 50, (3, 40, 2)).astype(dtype)
    for axis in range(3):
        for k in {0, 1, x.shape[axis] // 2, x.shape[axis]}:
            for largest in (0, 1):
                key = -x.astype(np.float64) if largest else x.astype(np.float64)
                order = np.argsort(key, axis=axis, kind="stable")
                places = np.take(order, np.arange(k), axis=axis)
                values, indices = run(
                    "TopK", [x, np.array([k], np.int64)], outputs=2, axis=axis, largest=largest
                )
                np.testing.assert_array_equal(indices, places)
                np.testing.assert_array_equal(values, np.take_along_axis(x, places, axis))


@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint32])
def test_running(op: str, dtype: Any) -> None:
    x = np.random.default_rng(9).integers(1, 4, (3, 5, 4)).astype(dtype)
    for axis in range(-3, 3):
        for reverse in (0, 1):
            flipped = np.flip(x, axis) if reverse else x
            whole = (np.cumsum if op == "CumSum" else np.cumprod)(flipped, axis=axis, dtype=dtype)
            first = np.full_like(np.take(x, [0], axis), 0 if op == "CumSum" else 1)
            before = np.concatenate([first, np.delete(whole, -1, axis)], axis)
            for exclusive, expected in ((0, whole), (1, before)):
                expected = np.flip(expected, axis) if reverse else expected
                for constants in ((), (1,)):
                    got = run(
                        op,
                        [x, np.array(axis, np.int32)],
                        constants=constants,
                        reverse=reverse,
                        exclusive=exclusive,
                    )
                    np.testing.assert_array_equal(got, expected)


def test_refusals() -> None:
    x = np.ones((2, 3), np.float32)
    fails("ReduceSum", [x, np.array([2], np.int64)], "axis 2", constants=[1])
    fails("ReduceSum", [np.ones(3, np.int8)], "cast it to int32")
    fails("ArgMax", [x], "expected -2 to 1", axis=2)
    fails("ArgMax", [np.ones((2, 0), np.float32)], "is empty", axis=1)
    fails("TopK", [x, np.array([4], np.int64)], "from 0 to 3", constants=[1], outputs=2)
    fails("CumSum", [x, np.array(2, np.int64)], "axis is 2", constants=[1])
    fails("CumSum", [x, np.array(2, np.int64)], "axis is 2")
