"""Depthwise convolution by sums that are exact in float32: every register block and its edges."""

from __future__ import annotations

import numpy as np
import pytest

import lanewise as lw
from tests.ops.one_node import model
from tests.ops.test_conv import Case, check


def depthwise(channels: int, size: list[int], kernel: list[int], **options: object) -> Case:
    """One filter per channel."""
    shape = [2, channels, *size]
    return Case(shape, [channels, 1, *kernel], group=channels, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 7])
def test_kernels_and_widths(kernel: int, stride: int) -> None:
    """Blocks of 7, 4, 2 and 1 pixels, inside the image and across both edges."""
    pad = kernel // 2
    for width in (kernel, 8, 15, 23):
        case = depthwise(
            18, [kernel + 1, width], [kernel, kernel], strides=[stride] * 2, pads=[pad] * 4
        )
        assert set(check(case, width, force="depthwise")) == {"depthwise"}


@pytest.mark.parametrize("channels", [2, 4, 15, 16, 33, 64])
def test_channels(channels: int) -> None:
    check(depthwise(channels, [6, 7], [3, 3], pads=[1, 1, 1, 1]), channels, force="depthwise")


@pytest.mark.parametrize("activation", ["", "Relu", "Clip", "LeakyRelu"])
@pytest.mark.parametrize("residual", [False, True])
def test_fused(residual: bool, activation: str) -> None:
    for kernel in (3, 4):
        case = depthwise(
            21, [9, 9], [kernel] * 2, pads=[1, 2, 1, 2], residual=residual, activation=activation
        )
        check(case, 3, force="depthwise")


def test_options() -> None:
    cases = [
        depthwise(9, [11, 12], [3, 3], dilations=[2, 3], pads=[2, 3, 1, 4]),
        depthwise(9, [4, 4], [3, 3], pads=[3, 4, 5, 3]),
        depthwise(9, [17], [3], strides=[2], pads=[1, 0]),
        depthwise(9, [4, 5, 6], [3, 2, 3], strides=[1, 2, 2], pads=[1, 0, 1, 1, 1, 0]),
        depthwise(9, [6, 6], [3, 3], constant=False, bias=False),
    ]
    for case in cases:
        check(case, 4, force="depthwise")


def test_depthwise_is_chosen() -> None:
    algorithms = check(depthwise(32, [14, 14], [3, 3], pads=[1, 1, 1, 1]), 5)
    assert set(algorithms) == {"depthwise"}


def test_order_does_not_depend_on_blocks() -> None:
    """A pixel's bits are the same wherever a register block begins."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(1, 20, 5, 24)).astype(np.float32)
    w = rng.normal(size=(20, 1, 3, 3)).astype(np.float32)
    whole = lw.load(model("Conv", [x, w], constants=[1], group=20)).run({"x0": x})["y0"]
    for begin in range(1, 9):
        part = np.ascontiguousarray(x[..., begin:])
        got = lw.load(model("Conv", [part, w], constants=[1], group=20)).run({"x0": part})["y0"]
        np.testing.assert_array_equal(got, whole[..., begin:])
