"""DeformConv against sampling and multiplying in float64."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import ISAS, fails, run

Array = NDArray[Any]


def sample(plane: Array, point: Array) -> float:
    """Linear interpolation in any number of dimensions, zero outside."""
    base = np.floor(point).astype(int)
    total = 0.0
    for corner in product((0, 1), repeat=len(point)):
        at = base + corner
        if np.all((at >= 0) & (at < plane.shape)):
            total += float(plane[tuple(at)]) * float(np.prod(1 - np.abs(point - at)))
    return total


def exact(x: Array, w: Array, offset: Array, bias: Array | None, mask: Array | None,
          strides: list[int], pads: list[int], dilations: list[int], group: int,
          offset_group: int) -> Array:  # fmt: skip
    rank, kernel, out = x.ndim - 2, w.shape[2:], offset.shape[2:]
    taps = int(np.prod(kernel))
    field = offset.reshape(len(x), offset_group, taps, rank, *out).astype(np.float64)
    weight = np.ones((len(x), offset_group, taps, *out)) if mask is None else mask.reshape(
        len(x), offset_group, taps, *out).astype(np.float64)  # fmt: skip
    result = np.zeros((len(x), len(w), *out))
    per_group, per_offset = x.shape[1] // group, x.shape[1] // offset_group
    for n, o, channel in product(range(len(x)), product(*map(range, out)), range(x.shape[1])):
        for tap, k in enumerate(product(*map(range, kernel))):
            point = np.array(o) * strides - pads[:rank] + np.array(k) * dilations
            moved = point + field[(n, channel // per_offset, tap, slice(None), *o)]
            value = sample(x[n, channel], moved) * weight[(n, channel // per_offset, tap, *o)]
            g = channel // per_group
            rows = slice(g * len(w) // group, (g + 1) * len(w) // group)
            column = w[(rows, channel % per_group, *k)].astype(np.float64)
            result[(n, rows, *o)] += value * column
    return result if bias is None else result + bias.reshape(1, -1, *[1] * rank)


CASES = [
    ((1, 2, 6, 5), (3, 2, 3, 3), [1, 1], [0, 0, 0, 0], [1, 1], 1, 1, False, False),
    ((2, 4, 7, 6), (6, 2, 2, 3), [2, 1], [1, 0, 1, 2], [1, 2], 2, 2, True, True),
    ((1, 6, 13, 12), (4, 3, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 2, 3, True, False),
    ((1, 2, 9), (2, 2, 3), [2], [1, 1], [1], 1, 1, False, True),
    ((1, 2, 4, 3, 4), (2, 1, 2, 2, 2), [1, 1, 1], [0, 1, 0, 1, 0, 0], [1, 1, 1], 2, 1, True, True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
@pytest.mark.parametrize("isa", ISAS)
def test_samples_times_weights(case: tuple[Any, ...], isa: str) -> None:
    shape, kernel, strides, pads, dilations, group, offset_group, biased, masked = case
    rng = np.random.default_rng(1)
    rank = len(shape) - 2
    out = [(shape[i + 2] + pads[i] + pads[i + rank] - (kernel[i + 2] - 1) * dilations[i] - 1)
           // strides[i] + 1 for i in range(rank)]  # fmt: skip
    taps = int(np.prod(kernel[2:])) * offset_group
    for dtype in (np.float32, np.float64):
        x, w = rng.normal(size=shape).astype(dtype), rng.normal(size=kernel).astype(dtype)
        offset = rng.normal(0, 1.5, size=(shape[0], taps * rank, *out)).astype(dtype)
        bias = rng.normal(size=kernel[0]).astype(dtype) if biased else None
        mask = rng.uniform(size=(shape[0], taps, *out)).astype(dtype) if masked else None
        got = run("DeformConv", [x, w, offset, bias, mask], isa=isa, strides=strides, pads=pads,
                  dilations=dilations, group=group, offset_group=offset_group)  # fmt: skip
        wanted = exact(x, w, offset, bias, mask, strides, pads, dilations, group, offset_group)
        depth = int(np.prod(kernel[1:]))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=20 * depth * np.finfo(dtype).eps)


def test_without_offsets_it_is_a_convolution() -> None:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 8, 20, 19)), rng.normal(size=(5, 8, 3, 3))
    x, w = x.astype(np.float32), w.astype(np.float32)
    offset = np.zeros((2, 18, 20, 19), np.float32)
    got = run("DeformConv", [x, w, offset], pads=[1, 1, 1, 1])
    np.testing.assert_allclose(got, run("Conv", [x, w], pads=[1, 1, 1, 1]), atol=5e-5)


def test_zero_sizes_and_points_that_are_no_numbers() -> None:
    w, offset = np.ones((2, 1, 1, 1), np.float32), np.zeros((0, 2, 3, 3), np.float32)
    assert run("DeformConv", [np.ones((0, 1, 3, 3), np.float32), w, offset]).shape == (0, 2, 3, 3)
    lost = np.full((1, 2, 3, 3), np.nan, np.float32)
    got = run("DeformConv", [np.ones((1, 1, 3, 3), np.float32), w, lost])
    np.testing.assert_array_equal(got, np.zeros((1, 2, 3, 3)))


def test_faults_are_named() -> None:
    x, w = np.zeros((1, 2, 4, 4), np.float32), np.zeros((2, 2, 3, 3), np.float32)
    good = np.zeros((1, 18, 2, 2), np.float32)
    fails("DeformConv", [x, w, good[:, :9]], "input 2 must have shape [1, 18, 2, 2]")
    fails("DeformConv", [x, w, good], "'group' is 2", group=2)
    fails("DeformConv", [x, w, good], "'offset_group' is 3", offset_group=3)
    fails("DeformConv", [x, w, good, np.zeros(3, np.float32)], "bias (input 3)")
    fails("DeformConv", [x, w, good, None, good], "input 4 must have shape [1, 9, 2, 2]")
