"""Resize in every mode against onnx.reference, in both layouts, on every ISA."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import ISAS, Array, fails, reference, run

COORDINATES = [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def _image(*shape: int) -> Array:
    return np.random.default_rng(11).normal(size=shape).astype(np.float32)


def _scales(*values: float) -> Array:
    return np.array(values, np.float32)


def _sizes(*values: int) -> Array:
    return np.array(values, np.int64)


def _check(inputs: list[Array | None], **attributes: Any) -> None:
    """Compares on every ISA, in both layouts.

    The bound is a few float32 units per tap and axis; onnx.reference computes its cubic weights
    in float32 too, even for float64 data.
    """
    want = reference("Resize", inputs, **attributes)
    for isa, channels_last in itertools.product(ISAS, (False, True)):
        got = run("Resize", inputs, constants=[1, 2, 3], isa=isa, channels_last=channels_last,
                  threads=2, **attributes)  # fmt: skip
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=5e-6 * float(np.abs(want).max()))


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_nearest(coordinates: str, rounding: str) -> None:
    x = _image(2, 19, 6, 8)
    for scales in ((2, 3), (0.6, 0.8), (1.4, 0.3)):
        options = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        _check([x, None, _scales(1, 1, *scales)], mode="nearest", **options)
    _check([x, None, None, _sizes(2, 19, 9, 4)], mode="nearest", **options)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_interpolation(coordinates: str, mode: str) -> None:
    for channels in (1, 3, 19):
        x = _image(2, channels, 6, 8)
        options = {"coordinate_transformation_mode": coordinates, "mode": mode}
        for scales in ((2, 3), (0.6, 0.8)):
            _check([x, None, _scales(1, 1, *scales)], **options)
        _check([x, None, None, _sizes(2, channels, 8, 4)], **options)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_filters(mode: str) -> None:
    x = _image(1, 17, 9, 12)
    for antialias, outside in itertools.product((0, 1), (0, 1)):
        for scales in ((0.3, 0.55), (2.5, 0.1), (1.5, 1)):
            _check(
                [x, None, _scales(1, 1, *scales)],
                mode=mode,
                antialias=antialias,
                exclude_outside=outside,
            )
    _check([x, None, _scales(1, 1, 2, 2)], mode=mode, cubic_coeff_a=-0.5)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_crop_and_resize(mode: str) -> None:
    x = _image(1, 3, 6, 7)
    roi = np.array([0, 0, 0.2, -0.3, 1, 1, 0.7, 1.2], np.float32)
    options = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 10.0}
    _check([x, roi, None, _sizes(1, 3, 5, 8)], mode=mode, **options)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_other_ranks(mode: str) -> None:
    _check([_image(13), None, _scales(1.7)], mode=mode)
    _check([_image(2, 3, 9), None, _scales(1, 1, 2.3)], mode=mode)
    _check([_image(1, 3, 4, 5, 6), None, _scales(1, 1, 2, 0.7, 1.5)], mode=mode)
    _check([_image(4, 3, 5, 2), None, _scales(1.5, 1, 1, 2)], mode=mode)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_axes_and_aspect_ratio(policy: str) -> None:
    x = _image(1, 3, 6, 8)
    for axes in ([2, 3], [3, 2], [-1, -2]):
        positive = [axis % 4 for axis in axes]
        inputs = [x, None, None, _sizes(9, 7)]
        want = reference(
            "Resize", inputs, mode="linear", axes=positive, keep_aspect_ratio_policy=policy
        )
        got = run("Resize", inputs, mode="linear", axes=axes, keep_aspect_ratio_policy=policy)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.float64, np.float16])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_types(dtype: Any, mode: str) -> None:
    """Integers are rounded to nearest even and saturated."""
    limits = (0, 255) if dtype == np.uint8 else (-128, 127)
    x = np.random.default_rng(1).integers(*limits, (1, 2, 6, 5)).astype(dtype)
    inputs = [x, None, _scales(1, 1, 1.7, 2.5)]
    want = reference("Resize", inputs, mode=mode)
    tolerance = {np.float64: 1e-12, np.float16: 0.1}.get(dtype, 0.0)
    if dtype is np.float64 and mode == "cubic":
        tolerance = 2e-6 * float(np.abs(want).max())
    np.testing.assert_allclose(run("Resize", inputs, mode=mode), want, rtol=0, atol=tolerance)


def test_sizes_that_come_with_the_data() -> None:
    x = _image(1, 3, 4, 4)
    inputs = [x, None, None, _sizes(1, 3, 8, 2)]
    np.testing.assert_array_equal(run("Resize", inputs), reference("Resize", inputs))


def test_upsample() -> None:
    x = _image(1, 3, 4, 5)
    y = run("Upsample", [x, _scales(1, 1, 2, 3)], opset=9, mode="nearest")
    np.testing.assert_array_equal(y, x.repeat(2, 2).repeat(3, 3))
    y = run("Upsample", [x], opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0])
    np.testing.assert_array_equal(y, x.repeat(2, 2).repeat(2, 3))


def test_empty_results() -> None:
    x = _image(1, 3, 4, 5)
    assert run("Resize", [x, None, _scales(1, 1, 0.1, 1)], mode="linear").shape == (1, 3, 0, 5)
    empty = np.zeros((0, 3, 4, 5), np.float32)
    assert run("Resize", [empty, None, _scales(1, 1, 2, 2)], mode="linear").shape == (0, 3, 8, 10)


def test_errors() -> None:
    x = _image(1, 3, 4, 5)
    fails("Resize", [x], "either 'scales' or 'sizes'")
    fails("Resize", [x, None, _scales(1, 1, 2)], "has 3 numbers, expected 4")
    fails("Resize", [x, None, _scales(1, 1, 2, -1)], "not positive")
    fails("Resize", [x, None, _scales(1, 1, 2, np.nan)], "not positive")
    fails("Resize", [x, None, _scales(1, 1, 2, 2)], "'mode' is 'area'", mode="area")
    fails("Resize", [x, None, _scales(1, 1, 2, 2)], "antialias needs", antialias=1)
    fails("Resize", [x[:, :, :0], None, None, _sizes(1, 3, 2, 5)], "empty input")
    fails("Resize", [x, None, _scales(2, 2)], "axis 4 is outside", axes=[4, 0])
