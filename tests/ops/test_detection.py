"""Detection and sampling: NonMaxSuppression, RoiAlign, MaxRoiPool, GridSample, AffineGrid, Det."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import Array, fails, reference, run


def _random(*shape: int) -> Array:
    return np.random.default_rng(13).normal(size=shape).astype(np.float32)


def _scalar(value: Any, dtype: Any) -> Array:
    return np.array([value], dtype)


@pytest.mark.parametrize("center", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_non_max_suppression(seed: int, center: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(0, 10, (2, 40, 4)).astype(np.float32)
    if center:
        boxes[..., 2:] /= 2
    scores = rng.integers(0, 12, (2, 3, 40)).astype(np.float32) / 10  # with ties
    for most, overlap, least in [(40, 0.3, 0.2), (3, 0.5, 0.0), (0, 0.5, 0.0), (40, 0.0, 0.9)]:
        inputs: list[Array] = [
            boxes,
            scores,
            _scalar(most, np.int64),
            _scalar(overlap, np.float32),
            _scalar(least, np.float32),
        ]
        want = reference("NonMaxSuppression", inputs, center_point_box=center)
        np.testing.assert_array_equal(
            run("NonMaxSuppression", inputs, center_point_box=center), want.reshape(-1, 3)
        )


def test_non_max_suppression_defaults_and_odd_scores() -> None:
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 6, 6], [0, 0, 0, 0]]], np.float32)
    scores = np.array([[[1, 2, np.nan, 3]]], np.float32)
    assert run("NonMaxSuppression", [boxes, scores]).shape == (0, 3)
    y = run("NonMaxSuppression", [boxes, scores, _scalar(9, np.int64)])
    np.testing.assert_array_equal(y, [[0, 0, 3], [0, 0, 1]])
    fails("NonMaxSuppression", [boxes, scores[:, :, :3]], "expected boxes [batch, count, 4]")
    fails("NonMaxSuppression", [boxes, scores], "'center_point_box' is 2", center_point_box=2)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("shift", ["half_pixel", "output_half_pixel"])
def test_roi_align(mode: str, shift: str, channels_last: bool) -> None:
    x = _random(2, 5, 9, 11)
    rois = np.array(
        [[0, 0, 5, 5], [3, 2, 20, 17], [-3, -2, 4, 5], [6, 6, 6, 6], [5, 5, 3, 2]], np.float32
    )
    images = np.array([0, 1, 1, 0, 1], np.int64)
    for ratio in (0, 2):
        options: dict[str, Any] = {
            "mode": mode,
            "coordinate_transformation_mode": shift,
            "sampling_ratio": ratio,
            "output_height": 3,
            "output_width": 2,
            "spatial_scale": 0.5,
        }
        y = run("RoiAlign", [x, rois, images], channels_last=channels_last, threads=2, **options)
        np.testing.assert_allclose(
            y, reference("RoiAlign", [x, rois, images], **options), atol=3e-6
        )


def test_roi_errors() -> None:
    x, roi = _random(2, 3, 8, 8), np.array([[0, 0, 4, 4]], np.float32)
    fails(
        "RoiAlign",
        [x, roi, np.array([2], np.int64)],
        "batch index 2 of region 0 is out of range; expected 0 to 1",
    )
    fails(
        "RoiAlign",
        [x, np.full_like(roi, np.inf), np.array([0], np.int64)],
        "region 0 is not finite",
    )
    fails("RoiAlign", [x, roi, np.array([0, 1], np.int64)], "one box for each batch index")
    fails("RoiAlign", [x, roi, np.array([0], np.int64)], "'mode' is 'sum'", mode="sum")
    box = np.array([[5, 0, 0, 4, 4]], np.float32)
    fails("MaxRoiPool", [x, box], "batch index 5 of region 0", pooled_shape=[2, 2])
    fails("MaxRoiPool", [x, roi], "shape [count, 5]", pooled_shape=[2, 2])


def _max_roi_pool(x: Array, rois: Array, height: int, width: int, scale: float) -> Array:
    """Girshick 2015: whole pixels, bins that may overlap, zero for an empty bin."""
    y = np.zeros((len(rois), x.shape[1], height, width), x.dtype)
    for r, (image, *box) in enumerate(rois):
        x0, y0, x1, y1 = (int(np.floor(abs(v) * scale + 0.5) * np.sign(v)) for v in box)
        bin_h, bin_w = max(y1 - y0 + 1, 1) / height, max(x1 - x0 + 1, 1) / width
        for i, j in itertools.product(range(height), range(width)):
            rows = slice(
                max(0, int(np.floor(i * bin_h)) + y0), max(0, int(np.ceil((i + 1) * bin_h)) + y0)
            )
            columns = slice(
                max(0, int(np.floor(j * bin_w)) + x0), max(0, int(np.ceil((j + 1) * bin_w)) + x0)
            )
            part = x[int(image), :, rows, columns]
            if part.size:
                y[r, :, i, j] = part.max((1, 2))
    return y


@pytest.mark.parametrize("channels_last", [False, True])
def test_max_roi_pool(channels_last: bool) -> None:
    x = _random(2, 19, 9, 12)
    rois = np.array(
        [[0, 0, 0, 11, 8], [1, 3, 2, 7, 5], [1, -4, -4, 3, 3], [0, 20, 20, 30, 30], [0, 4, 4, 4, 4]]
    )
    for scale in (1.0, 0.5):
        y = run(
            "MaxRoiPool",
            [x, rois.astype(np.float32)],
            pooled_shape=[2, 4],
            spatial_scale=scale,
            channels_last=channels_last,
            threads=2,
        )
        np.testing.assert_array_equal(y, _max_roi_pool(x, rois, 2, 4, scale))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("align", [0, 1])
def test_grid_sample(mode: str, padding: str, align: int) -> None:
    rng = np.random.default_rng(5)
    options: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": align}
    for shape, out in [((2, 3, 5, 4), (3, 4)), ((1, 2, 3, 4, 5), (2, 3, 2)), ((1, 2, 6), (7,))]:
        x = rng.normal(size=shape).astype(np.float32)
        grid = rng.uniform(-2.5, 2.5, (shape[0], *out, len(out))).astype(np.float32)
        want = reference("GridSample", [x, grid], **options)
        for channels_last in (False, True):
            y = run("GridSample", [x, grid], channels_last=channels_last, threads=2, **options)
            np.testing.assert_allclose(y, want, atol=2e-5)


def test_grid_sample_beyond_numbers() -> None:
    x = np.ones((1, 1, 3, 3), np.float32)
    grid = np.array([[[[np.nan, 0], [np.inf, 0], [-np.inf, 0], [0, 0]]]], np.float32)
    np.testing.assert_array_equal(run("GridSample", [x, grid]).ravel(), [0, 0, 0, 1])
    np.testing.assert_array_equal(
        run("GridSample", [x, grid], padding_mode="border").ravel(), [1, 1, 1, 1]
    )
    fails("GridSample", [x, grid[..., :1]], "'grid' must have shape")
    fails("GridSample", [x, grid], "'mode' is 'area'", mode="area")


@pytest.mark.parametrize("align", [0, 1])
def test_affine_grid(align: int) -> None:
    for size in ([2, 3, 4, 5], [2, 3, 2, 4, 3]):
        spatial = len(size) - 2
        theta = _random(2, spatial, spatial + 1)
        inputs = [theta, np.array(size, np.int64)]
        want = reference("AffineGrid", inputs, align_corners=align)
        np.testing.assert_allclose(run("AffineGrid", inputs, align_corners=align), want, atol=1e-6)
    fails(
        "AffineGrid",
        [_random(2, 2, 2), np.array([2, 3, 4, 5], np.int64)],
        "'theta' must have shape",
    )


def test_det() -> None:
    for shape in [(3, 3), (2, 5, 4, 4), (7, 1, 1), (0, 2, 2), (2, 0, 0)]:
        x = _random(*shape)
        want = np.linalg.det(x.astype(np.float64))
        np.testing.assert_allclose(run("Det", [x]), want, rtol=1e-6)
        np.testing.assert_allclose(run("Det", [x.astype(np.float64)]), want, rtol=1e-12)
    assert run("Det", [np.zeros((3, 3), np.float32)]) == 0
    fails("Det", [_random(2, 3)], "square")
