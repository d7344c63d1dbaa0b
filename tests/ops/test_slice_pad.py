"""Slice, Pad, Expand, Tile, CenterCropPad, DepthToSpace, SpaceToDepth against NumPy and ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import Array, fails, reference, run


def _image(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def _ints(values: list[int]) -> Array:
    return np.array(values, np.int64)


SLICES = [
    ([1], [3], [0], [1]),
    ([0, -3], [99, -1], [1, 3], [1, 1]),
    ([-1], [-(2**63)], [2], [-1]),
    ([5, 5], [0, -99], [2, 3], [-2, -3]),
    ([4], [1], [1], [1]),
    ([0], [2**63 - 1], [3], [2**63 - 1]),
    ([6], [0], [3], [-(2**63)]),
    ([0, 1, 2, 3], [2, 2, 5, 6], None, None),
]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", SLICES)
def test_slice(case: Any, channels_last: bool) -> None:
    starts, ends, axes, steps = case
    x = _image(3, 5, 6, 7)
    inputs = [x] + [None if v is None else _ints(v) for v in (starts, ends, axes, steps)]
    y = run("Slice", inputs, constants=[1, 2, 3, 4], channels_last=channels_last)
    index = [slice(None)] * 4
    for i, start in enumerate(starts):
        step = 1 if steps is None else steps[i]
        end = None if step < 0 and ends[i] < -90 else ends[i]
        index[i if axes is None else axes[i]] = slice(start, end, step)
    np.testing.assert_array_equal(y, x[tuple(index)])


def test_slice_errors() -> None:
    x = _image(3, 4)
    fails("Slice", [x, _ints([0]), _ints([1]), _ints([2])], "axis 2 is outside")
    fails("Slice", [x, _ints([0]), _ints([1]), _ints([0]), _ints([0])], "step of axis 0 is 0")
    fails("Slice", [x, _ints([0, 0]), _ints([1])], "as many elements")
    fails("Slice", [x, _ints([0, 0]), _ints([1, 1]), _ints([1, -1])], "repeated")


PADS = [[0, 0, 1, 2, 0, 0, 3, 0], [1, 2, 0, 0, 0, 1, 2, 3], [0, 0, -1, 2, 0, 0, 2, -3], [0] * 8]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", PADS)
def test_pad(mode: str, pads: list[int], channels_last: bool) -> None:
    x = _image(2, 3, 5, 6)
    y = run(
        "Pad", [x, _ints(pads), np.float32(1.5)], mode=mode, channels_last=channels_last, threads=2
    )
    keep = [
        slice(max(0, -a), n - max(0, -b)) for n, a, b in zip(x.shape, pads, pads[4:], strict=False)
    ]
    widths = [(max(0, a), max(0, b)) for a, b in zip(pads, pads[4:], strict=False)]
    options = {"constant_values": 1.5} if mode == "constant" else {}
    want = np.pad(x[tuple(keep)], widths, mode=mode, **options)  # type: ignore[call-overload]
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("mode", ["reflect", "wrap", "edge"])
def test_pad_further_than_the_input(mode: str) -> None:
    x = np.arange(3.0, dtype=np.float32)
    for size in (1, 2, 3):
        want = np.pad(x[:size], (7, 8), mode=mode)  # type: ignore[call-overload]
        np.testing.assert_array_equal(run("Pad", [x[:size], _ints([7, 8])], mode=mode), want)


def test_pad_axes_types_and_empty() -> None:
    x = np.arange(6, dtype=np.int64).reshape(2, 3)
    y = run("Pad", [x, _ints([1, 2]), np.int64(9), _ints([-1])])
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (1, 2)), constant_values=9))
    text = np.array(["a", "b"], object)
    np.testing.assert_array_equal(
        run("Pad", [text, _ints([1, 0])]), np.array(["", "a", "b"], object)
    )
    empty = np.zeros((0, 2), np.float32)
    np.testing.assert_array_equal(run("Pad", [empty, _ints([1, 0, 0, 1])]), np.zeros((1, 3)))
    fails("Pad", [empty, _ints([1, 0, 0, 1])], "no element to repeat", mode="edge")
    fails("Pad", [x, _ints([1, 2])], "'pads' has 2 numbers")
    fails("Pad", [x, _ints([0, 0, 0, -4])], "do not fit")


def test_expand_and_tile() -> None:
    for shape, target in [
        ((3, 1), (2, 1, 6)),
        ((1, 5, 1, 4), (2, 5, 3, 1)),
        ((), (4,)),
        ((2, 1), (1, 0)),
    ]:
        x = _image(*shape)
        want = x * np.ones(target, np.float32)
        np.testing.assert_array_equal(run("Expand", [x, _ints(list(target))]), want)
    for channels_last in (False, True):
        x = _image(2, 3, 4, 5)
        for repeats in ([1, 2, 1, 3], [2, 1, 1, 1], [1, 1, 0, 1]):
            y = run("Tile", [x, _ints(repeats)], channels_last=channels_last)
            np.testing.assert_array_equal(y, np.tile(x, repeats))
    fails("Expand", [_image(3), _ints([4])], "does not broadcast")
    fails("Tile", [_image(3), _ints([1, 1])], "one number for each dimension")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_depth_and_space(mode: str, block: int, channels_last: bool) -> None:
    x = _image(2, 5 * block * block, 3, 4)
    y = run("DepthToSpace", [x], blocksize=block, mode=mode, channels_last=channels_last)
    np.testing.assert_array_equal(y, reference("DepthToSpace", [x], blocksize=block, mode=mode))
    back = run("SpaceToDepth", [y], blocksize=block, mode=mode, channels_last=channels_last)
    np.testing.assert_array_equal(back, x)


def test_depth_and_space_errors() -> None:
    fails("DepthToSpace", [_image(1, 6, 2, 2)], "no multiple of blocksize^2", blocksize=2)
    fails("SpaceToDepth", [_image(1, 6, 3, 2)], "multiples of blocksize", blocksize=2)


@pytest.mark.parametrize("shape", [[4, 9], [5, 6], [7, 7], [8, 1]])
def test_center_crop_pad(shape: list[int]) -> None:
    x = _image(5, 7)
    want = reference("CenterCropPad", [x, _ints(shape)])
    np.testing.assert_array_equal(run("CenterCropPad", [x, _ints(shape)]), want)
