"""Transpose, and the layout changes that the engine makes itself, against NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.ops.one_node import ISAS, Array, fails, run

DTYPES = [np.bool_, np.uint8, np.int8, np.uint16, np.float16, np.float32, np.int32, np.int64,
          np.float64]  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_permutation(isa: str, dtype: type) -> None:
    rng = np.random.default_rng(2)
    for shape in [(5,), (3, 70), (17, 33), (2, 19, 18), (3, 1, 37), (2, 16, 5, 33), (1, 3, 64, 65)]:
        x: Array = rng.integers(0, 100, shape).astype(dtype)
        for perm in itertools.permutations(range(len(shape))):
            y = run("Transpose", [x], isa=isa, perm=perm)
            np.testing.assert_array_equal(y, x.transpose(perm))


def test_default_reverses_the_axes() -> None:
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(run("Transpose", [x]), x.T)


def test_strings_and_empty_arrays() -> None:
    x = np.array([["a", "bb", ""], ["c", "d" * 40, "e"]], object)
    np.testing.assert_array_equal(run("Transpose", [x]), x.T)
    empty = np.zeros((2, 0, 3), np.float32)
    assert run("Transpose", [empty], perm=[1, 2, 0]).shape == (0, 3, 2)


@pytest.mark.parametrize("isa", ISAS)
def test_from_channels_last(isa: str) -> None:
    """Results do not depend on the layout that the input happens to have."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 19, 7, 33)).astype(np.float32)
    for perm in itertools.permutations(range(4)):
        y = run("Transpose", [x], isa=isa, threads=2, channels_last=True, perm=perm)
        np.testing.assert_array_equal(y, x.transpose(perm))


@pytest.mark.parametrize("perm", [[0, 1], [0, 1, 1], [0, 1, 3], [0, 1, 2, 3]])
def test_wrong_permutation(perm: list[int]) -> None:
    fails("Transpose", [np.zeros((2, 3, 4), np.float32)], "'perm'", perm=perm)
