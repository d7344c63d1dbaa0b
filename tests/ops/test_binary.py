"""Operators on broadcast operands against NumPy: values, types, layouts, corner cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import ISAS, Array, fails, run

Shape = tuple[int, ...]
# Pairs that broadcast in every way the inner loops tell apart.
SHAPES: list[tuple[Shape, Shape]] = [
    ((), ()),
    ((5,), ()),
    ((), (2, 3)),
    ((37,), (37,)),
    ((4, 37), (37,)),  # row
    ((4, 37), (4, 1)),  # column
    ((4, 1), (1, 37)),
    ((2, 3, 5, 7), (2, 3, 5, 7)),
    ((2, 3, 5, 7), (3, 1, 1)),  # per channel
    ((2, 3, 5, 7), (1, 3, 1, 1)),
    ((2, 3, 5, 7), (5, 7)),
    ((2, 3, 5, 7), (1, 3, 5, 7)),
    ((2, 1, 5, 7), (2, 3, 1, 7)),
    ((2, 3, 1, 1), (2, 3, 9, 4)),
    ((3, 1, 4), (2, 1, 5, 1)),
    ((2, 0, 3), (1, 3)),
    ((1, 17, 6, 6), (17, 1, 1)),
    ((2, 20, 40, 41), (2, 20, 40, 41)),
    ((2, 20, 40, 41), (20, 1, 1)),
]
NUMBERS = [np.float32, np.float64, np.int8, np.int16, np.int32, np.int64,
           np.uint8, np.uint16, np.uint32, np.uint64]  # fmt: skip


def truncated(a: Array, b: Array) -> Array:
    """Division as ONNX defines it for integers."""
    if a.dtype.kind == "f":
        return np.divide(a, b)
    return np.asarray(np.trunc(a.astype(np.float64) / b.astype(np.float64)).astype(a.dtype))


ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": truncated,
    "Min": np.minimum,
    "Max": np.maximum,
}
ORDER: dict[str, Callable[[Array, Array], Array]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}


def numbers(rng: np.random.Generator, shape: Shape, dtype: Any) -> Array:
    """Whole numbers from 1 to 9, signed where the type is: every result is exact but quotients."""
    x = rng.integers(1, 10, shape)
    if np.dtype(dtype).kind != "u":
        x = x * rng.choice([-1, 1], shape)
    return np.asarray(x, dtype)


@pytest.mark.parametrize("op", [*ARITHMETIC, *ORDER])
def test_broadcasts(op: str) -> None:
    rng = np.random.default_rng(1)
    function = {**ARITHMETIC, **ORDER}[op]
    for left, right in SHAPES:
        for a_shape, b_shape in ((left, right), (right, left)):
            a, b = numbers(rng, a_shape, np.float32), numbers(rng, b_shape, np.float32)
            for isa in ISAS:
                for channels_last in (False, True):
                    got = run(op, [a, b], isa=isa, threads=2, channels_last=channels_last)
                    np.testing.assert_array_equal(got, function(a, b), f"{a_shape} {b_shape} {isa}")


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("op", [*ARITHMETIC, *ORDER])
def test_types(op: str, dtype: Any) -> None:
    rng = np.random.default_rng(2)
    for left, right in [((4, 37), (37,)), ((37, 4), (37, 1)), ((3, 4), (3, 4)), ((), (5,))]:
        a, b = numbers(rng, left, dtype), numbers(rng, right, dtype)
        with np.errstate(over="ignore"):
            expected = {**ARITHMETIC, **ORDER}[op](a, b)
        got = run(op, [a, b])
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", ["Add", "Mul", "Div", "Greater"])
def test_float16(op: str) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=(3, 50)).astype(np.float16) for _ in range(2))
    exact = {**ARITHMETIC, **ORDER}[op](a.astype(np.float32), b.astype(np.float32))
    expected = exact if exact.dtype == bool else exact.astype(np.float16)
    np.testing.assert_array_equal(run(op, [a, b]), expected)


def test_nan_passes_through_extremes() -> None:
    a = np.array([np.nan, 1, np.nan, np.inf, -np.inf], np.float32)
    b = np.array([1, np.nan, np.nan, -np.inf, np.nan], np.float32)
    for dtype in (np.float32, np.float64):
        for op in ("Min", "Max"):
            expected = ARITHMETIC[op](a, b)
            np.testing.assert_array_equal(run(op, [a.astype(dtype), b.astype(dtype)]), expected)


def test_one_operand_twice() -> None:
    x = np.arange(40, dtype=np.float32).reshape(1, 4, 10)
    np.testing.assert_array_equal(run("Add", [x, x]), 2 * x)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
def test_integer_division_by_zero_is_zero(dtype: Any) -> None:
    a, b = np.array([7, 0, 5], dtype), np.array([0, 0, 2], dtype)
    np.testing.assert_array_equal(run("Div", [a, b]), [0, 0, 2])
    np.testing.assert_array_equal(run("Mod", [a, b]), [0, 0, 1])
    np.testing.assert_array_equal(run("Mod", [a, b], fmod=1), [0, 0, 1])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_least_integer(dtype: Any) -> None:
    least = np.array([np.iinfo(dtype).min], dtype)
    minus_one = np.array([-1], dtype)
    np.testing.assert_array_equal(run("Div", [least, minus_one]), least)
    np.testing.assert_array_equal(run("Mod", [least, minus_one]), [0])
    np.testing.assert_array_equal(run("Mod", [least, minus_one], fmod=1), [0])
    np.testing.assert_array_equal(run("Add", [least, minus_one]), [np.iinfo(dtype).max])


@pytest.mark.parametrize("dtype", NUMBERS)
def test_mod(dtype: Any) -> None:
    rng = np.random.default_rng(4)
    a, b = numbers(rng, (6, 20), dtype) * np.array(3, dtype), numbers(rng, (20,), dtype)
    np.testing.assert_array_equal(run("Mod", [a, b]), np.mod(a, b))
    np.testing.assert_array_equal(run("Mod", [a, b], fmod=1), np.fmod(a, b))


def test_floored_mod_of_special_floats() -> None:
    """The table in the operator's definition, for fmod=0."""
    a = np.array([0.0, 0.0, -0.0, np.inf, 3.0, -3.0, 3.0, 3.0, np.nan], np.float32)
    b = np.array([2.0, -2.0, 2.0, 2.0, np.inf, np.inf, -np.inf, 0.0, 1.0], np.float32)
    got = run("Mod", [a, b])
    np.testing.assert_array_equal(got, [0, -0.0, 0, np.nan, 3, np.inf, -np.inf, np.nan, np.nan])
    assert list(np.signbit(got[:3])) == [False, True, False]


@pytest.mark.parametrize("base", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("exponent", NUMBERS)
def test_pow(base: Any, exponent: Any) -> None:
    rng = np.random.default_rng(5)
    a = numbers(rng, (4, 9), base)
    b = rng.integers(0, 5, (9,)).astype(exponent)
    expected = np.power(a.astype(np.float64), b.astype(np.float64)).astype(base)
    got = run("Pow", [a, b])
    assert got.dtype == np.dtype(base)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_pow_corners() -> None:
    a = np.array([1, -1, -1, 0, 3], np.int32)
    b = np.array([-5, -3, -4, -1, -1], np.int64)
    np.testing.assert_array_equal(run("Pow", [a, b]), [1, -1, 1, 0, 0])
    x = np.random.default_rng(6).normal(size=(2, 3, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(run("Pow", [x, np.array(2, np.float32)], constants=[1]), x * x)
    root = run("Pow", [np.array([4, -1, -np.inf, 0], np.float32), np.array(0.5, np.float32)])
    np.testing.assert_array_equal(root, np.array([2, np.nan, np.inf, 0], np.float32))


@pytest.mark.parametrize("op", ["Sum", "Mean", "Min", "Max"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_variadic(op: str, dtype: Any, count: int) -> None:
    rng = np.random.default_rng(7)
    shapes: list[Shape] = [(2, 3, 33, 20), (3, 1, 1), (2, 3, 33, 20), (), (20,)]
    x = [numbers(rng, shape, dtype) for shape in shapes[:count]]
    whole = np.broadcast_arrays(*x)
    expected = {"Sum": np.sum, "Mean": np.mean, "Min": np.min, "Max": np.max}[op](whole, axis=0)
    for channels_last in (False, True):
        got = run(op, x, channels_last=channels_last, threads=2)
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_variadic_extremes_of_integers(dtype: Any) -> None:
    rng = np.random.default_rng(8)
    x = [numbers(rng, (3, 1500), dtype) for _ in range(3)]
    np.testing.assert_array_equal(run("Max", x), np.max(x, axis=0))
    np.testing.assert_array_equal(run("Min", x), np.min(x, axis=0))


def test_prelu() -> None:
    rng = np.random.default_rng(9)
    for dtype in (np.float32, np.float64, np.int32):
        x = numbers(rng, (2, 17, 5, 6), dtype)
        for shape in ((17, 1, 1), (1, 17, 1, 1), (1,), (), (2, 17, 5, 6), (5, 6)):
            slope = numbers(rng, shape, dtype)
            for channels_last in (False, True):
                got = run("PRelu", [x, slope], channels_last=channels_last)
                np.testing.assert_array_equal(got, np.where(x < 0, x * slope, x))


def test_logic() -> None:
    rng = np.random.default_rng(10)
    a, b = rng.random((3, 40)) < 0.5, rng.random((40,)) < 0.5
    for op, function in {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}.items():
        np.testing.assert_array_equal(run(op, [a, b]), function(a, b))
    np.testing.assert_array_equal(run("Equal", [a, b]), a == b)


@pytest.mark.parametrize("dtype", NUMBERS[2:])
def test_bits(dtype: Any) -> None:
    rng = np.random.default_rng(11)
    info = np.iinfo(dtype)
    a = rng.integers(info.min, info.max, (5, 12), dtype, endpoint=True)
    b = rng.integers(info.min, info.max, (12,), dtype, endpoint=True)
    np.testing.assert_array_equal(run("BitwiseAnd", [a, b]), a & b)
    np.testing.assert_array_equal(run("BitwiseOr", [a, b]), a | b)
    np.testing.assert_array_equal(run("BitwiseXor", [a, b]), a ^ b)
    count = rng.integers(0, info.bits, (12,)).astype(dtype)
    np.testing.assert_array_equal(run("BitShift", [a, count], direction="LEFT"), a << count)
    np.testing.assert_array_equal(run("BitShift", [a, count], direction="RIGHT"), a >> count)


def test_shifts_beyond_the_width() -> None:
    a = np.array([5, -5, -5], np.int8)
    count = np.array([8, 100, -1], np.int8)
    np.testing.assert_array_equal(run("BitShift", [a, count], direction="RIGHT"), [0, -1, -1])
    np.testing.assert_array_equal(run("BitShift", [a, count], direction="LEFT"), [0, 0, 0])


def test_strings_are_equal_by_content() -> None:
    a = np.array([["cat", "dog"], ["", "cat"]], dtype=object)
    b = np.array(["cat", "Dog"], dtype=object)
    np.testing.assert_array_equal(
        run("Equal", [a, b], constants=[0, 1]), [[True, False], [False, False]]
    )


@pytest.mark.parametrize("dtype", [*NUMBERS, np.float16, np.bool_, np.complex64, np.complex128])
def test_where(dtype: Any) -> None:
    rng = np.random.default_rng(12)
    for c, x, y in [
        ((4, 7), (4, 7), (4, 7)),
        ((4, 1), (7,), ()),
        ((), (3, 1), (1, 5)),
        ((3, 0), (1,), (3, 1)),
    ]:
        test = np.asarray(rng.random(c) < 0.5)
        a, b = (np.asarray(rng.integers(0, 9, s)).astype(dtype) for s in (x, y))
        np.testing.assert_array_equal(run("Where", [test, a, b]), np.where(test, a, b))


def test_where_channels_last() -> None:
    rng = np.random.default_rng(13)
    test = rng.random((2, 1, 5, 6)) < 0.5
    a, b = (rng.normal(size=(2, 9, 5, 6)).astype(np.float32) for _ in range(2))
    got = run("Where", [test, a, b], channels_last=True)
    np.testing.assert_array_equal(got, np.where(test, a, b))


def test_threads_do_not_change_the_result() -> None:
    rng = np.random.default_rng(14)
    a = rng.normal(size=(3, 5, 101, 103)).astype(np.float32)
    b = rng.normal(size=(5, 1, 103)).astype(np.float32)
    for op in ("Add", "Div", "Pow", "Greater"):
        one = run(op, [np.abs(a), b], threads=1)
        np.testing.assert_array_equal(run(op, [np.abs(a), b], threads=2), one)


def test_refusals() -> None:
    x = np.ones((2, 3), np.float32)
    fails("Add", [x, np.ones((2, 4), np.float32)], "does not broadcast")
    fails("Add", [x, np.ones((2, 3))], "one type")
    fails("Add", [x > 0, x > 0], "found bool")
    fails("And", [x, x], "bool")
    fails("PRelu", [np.ones(3, np.float32), x], "does not broadcast")
    fails("BitShift", [np.ones(3, np.uint8)] * 2, "expected 'LEFT' or 'RIGHT'", direction="UP")
    fails("Where", [x, x, x], "bool")
    fails("Pow", [x, np.ones(2, np.float32)], "does not broadcast")
