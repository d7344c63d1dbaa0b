"""Pooling against its definition in float64: windows, pads, ceil_mode, indices; both layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import ISAS, fails, run

Array = NDArray[Any]
EPS = float(np.finfo(np.float32).eps)


@dataclass
class Windows:
    """Kernel, strides, dilations and pads per axis, and the output sizes that follow."""

    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[int]
    size: Sequence[int]
    ceil: bool = False

    def out(self) -> list[int]:
        n, result = len(self.kernel), []
        for i in range(n):
            span = (self.kernel[i] - 1) * self.dilations[i] + 1
            room = self.size[i] + self.pads[i] + self.pads[n + i] - span
            count = room // self.strides[i] + 1
            more = self.ceil and room % self.strides[i] != 0
            if more and count * self.strides[i] < self.size[i] + self.pads[i]:
                count += 1
            result.append(count)
        return result

    def taps(self, at: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Input positions, padding included, without what only ceil_mode reaches."""
        n = len(self.kernel)
        for k in np.ndindex(*self.kernel):
            p = tuple(
                at[i] * self.strides[i] - self.pads[i] + k[i] * self.dilations[i] for i in range(n)
            )
            if all(p[i] < self.size[i] + self.pads[n + i] for i in range(n)):
                yield p

    def inside(self, p: Sequence[int]) -> bool:
        return all(0 <= v < s for v, s in zip(p, self.size, strict=True))

    def attributes(self) -> dict[str, Any]:
        return {
            "kernel_shape": list(self.kernel), "strides": list(self.strides),
            "dilations": list(self.dilations), "pads": list(self.pads),
            "ceil_mode": int(self.ceil),
        }  # fmt: skip


def last_axes(at: Sequence[int]) -> Any:
    """An index of the last axes."""
    return (..., *at)


def pooled(w: Windows, x: Array, kind: str, include_pad: bool = False, p: int = 2) -> Array:
    """The definition over each window, in float64."""
    y: Array = np.zeros((*x.shape[:2], *w.out()))
    image: Any = x.astype(np.float64)
    for at in np.ndindex(*w.out()):
        taps = list(w.taps(at))
        values = [image[last_axes(tap)] for tap in taps if w.inside(tap)]
        zero = np.zeros(x.shape[:2])
        if kind == "max":
            lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
            y[last_axes(at)] = np.max([np.full(x.shape[:2], lowest), *values], axis=0)
        elif kind == "mean":
            y[last_axes(at)] = sum(values, zero) / max(len(taps) if include_pad else len(values), 1)
        else:
            y[last_axes(at)] = sum((np.abs(v) ** p for v in values), zero) ** (1 / p)
    return y


def random_windows(rng: np.random.Generator, axes: int) -> Windows:
    kernel = rng.integers(1, 4, axes)
    dilations = rng.integers(1, 3, axes)
    span = (kernel - 1) * dilations + 1
    pads = np.concatenate([rng.integers(0, span), rng.integers(0, span)])
    size = np.maximum(span, rng.integers(1, 9, axes))
    lists = [list(map(int, v)) for v in (kernel, rng.integers(1, 4, axes), dilations, pads, size)]
    a, b, c, d, e = lists
    return Windows(a, b, c, d, e, ceil=bool(rng.integers(0, 2)))


CHANNELS = [1, 3, 16, 37, 64, 83]


def bound(y: Array, terms: int) -> Array:
    """gamma of so many operations times the result: no term cancels in what is tested."""
    return (terms + 4) * EPS * np.abs(y) + 1e-30


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint8"])
def test_max(dtype: str, seed: int, isa: str) -> None:
    rng = np.random.default_rng(seed)
    w = random_windows(rng, 1 + seed % 3)
    x = rng.integers(-99 if dtype != "uint8" else 0, 100, (2, CHANNELS[seed % 6], *w.size)).astype(
        dtype
    )
    for threads in (1, 2):
        y = run("MaxPool", [x], isa=isa, threads=threads, **w.attributes())
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, pooled(w, x, "max"), f"{w}")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("include_pad", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_average(seed: int, include_pad: bool, isa: str) -> None:
    rng = np.random.default_rng(100 + seed)
    w = random_windows(rng, 1 + seed % 3)
    for dtype in ("float32", "float64"):
        x = rng.uniform(1, 2, (2, CHANNELS[seed % 6], *w.size)).astype(dtype)
        y = run("AveragePool", [x], isa=isa, count_include_pad=int(include_pad), **w.attributes())
        expected = pooled(w, x, "mean", include_pad)
        assert np.all(np.abs(y - expected) <= bound(expected, int(np.prod(w.kernel)))), f"{w}"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp(p: int, isa: str) -> None:
    rng = np.random.default_rng(p)
    for axes in (1, 2, 3):
        w = random_windows(rng, axes)
        for dtype in ("float32", "float64"):
            x = rng.normal(0, 3, (1, 19, *w.size)).astype(dtype)
            y = run("LpPool", [x], isa=isa, p=p, **w.attributes())
            expected = pooled(w, x, "lp", p=p)
            assert np.all(np.abs(y - expected) <= bound(expected, int(np.prod(w.kernel)))), f"{w}"


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad(mode: str) -> None:
    rng = np.random.default_rng(3)
    for size, kernel, stride, dilation in [(7, 3, 2, 1), (8, 4, 3, 1), (9, 2, 1, 3), (5, 3, 4, 1)]:
        span = (kernel - 1) * dilation + 1
        total = 0 if mode == "VALID" else max(0, ((size - 1) // stride) * stride + span - size)
        begin = total // 2 if mode != "SAME_LOWER" else total - total // 2
        pads = [begin, begin, total - begin, total - begin]
        w = Windows([kernel] * 2, [stride] * 2, [dilation] * 2, pads, [size] * 2)
        x = rng.integers(-9, 9, (1, 5, size, size)).astype(np.float32)
        options = {k: v for k, v in w.attributes().items() if k != "pads"}
        y = run("MaxPool", [x], auto_pad=mode, **options)
        np.testing.assert_array_equal(y, pooled(w, x, "max"))


def test_network_shapes() -> None:
    """The windows of the published networks, on enough channels for every block of vectors."""
    rng = np.random.default_rng(5)
    x = rng.integers(-50, 50, (2, 192, 13, 13)).astype(np.float32)
    for kernel, stride, pad, ceil in [
        (2, 2, 0, False),
        (3, 2, 1, False),
        (3, 2, 0, True),
        (3, 1, 1, False),
    ]:
        w = Windows([kernel] * 2, [stride] * 2, [1, 1], [pad] * 4, [13, 13], ceil)
        np.testing.assert_array_equal(run("MaxPool", [x], **w.attributes()), pooled(w, x, "max"))


@pytest.mark.parametrize("order", [0, 1])
def test_indices_point_at_the_maxima(order: int) -> None:
    rng = np.random.default_rng(6)
    for axes in (1, 2, 3):
        for dtype in ("float32", "float64", "uint8"):
            w = random_windows(rng, axes)
            x = rng.permutation(2 * 3 * int(np.prod(w.size))).reshape(2, 3, *w.size) % 251
            x = x.astype(dtype)
            y, where = run("MaxPool", [x], outputs=2, storage_order=order, **w.attributes())
            np.testing.assert_array_equal(y, pooled(w, x, "max"))
            spatial = int(np.prod(w.size))
            plane, position = np.divmod(where, spatial)
            np.testing.assert_array_equal(
                plane.reshape(6, -1), np.arange(6)[:, None] + 0 * plane.reshape(6, -1)
            )
            at = np.unravel_index(position, w.size, order="F" if order else "C")
            index = (plane, *at)
            values = x.reshape(6, *w.size)[index]
            np.testing.assert_array_equal(values, y)


def test_first_of_equal_maxima_and_special_values() -> None:
    x = np.array([[[1, 2, 2, -np.inf, -np.inf, np.nan, 3]]], np.float32)
    y, where = run("MaxPool", [x], outputs=2, kernel_shape=[3], strides=[2])
    np.testing.assert_array_equal(y, [[[2, 2, 3]]])
    np.testing.assert_array_equal(where, [[[1, 2, 6]]])
    y = run("MaxPool", [np.full((1, 20, 2, 2), -np.inf, np.float32)], kernel_shape=[2, 2])
    np.testing.assert_array_equal(y, np.full((1, 20, 1, 1), -np.inf))


def test_unpool_undoes_pool() -> None:
    rng = np.random.default_rng(7)
    x = rng.permutation(2 * 3 * 64).reshape(2, 3, 8, 8).astype(np.float32) + 1
    options: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    y, where = run("MaxPool", [x], outputs=2, **options)
    expected = np.where(np.isin(x, y), x, 0)
    np.testing.assert_array_equal(run("MaxUnpool", [y, where], **options), expected)
    wide = np.zeros((2, 3, 9, 10), np.float32)
    wide[:, :, :8, :8] = expected
    shape = np.array(wide.shape)
    np.testing.assert_array_equal(run("MaxUnpool", [y, where, shape], **options), wide)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "shape", [(2, 5, 7, 7), (1, 100, 49), (3, 17, 2, 3, 4), (1, 3, 200, 150), (4, 6), (1, 70, 1, 1)]
)
def test_global(shape: Sequence[int], channels_last: bool, isa: str) -> None:
    rng = np.random.default_rng(8)
    x = rng.uniform(1, 2, shape).astype(np.float32)
    axes = tuple(range(2, len(shape)))
    exact = x.astype(np.float64)
    expected = {
        "GlobalAveragePool": exact.mean(axes, keepdims=True),
        "GlobalMaxPool": exact.max(axes, keepdims=True) if axes else exact,
        "GlobalLpPool": np.sqrt((exact**2).sum(axes, keepdims=True)),
    }
    for op, wanted in expected.items():
        results = [
            run(op, [x], isa=isa, threads=threads, channels_last=channels_last)
            for threads in (1, 2)
        ]
        np.testing.assert_array_equal(results[0], results[1])
        # 64 float32 additions per lane, all else in float64.
        assert np.all(np.abs(results[0] - wanted) <= 70 * EPS * wanted), op
        np.testing.assert_allclose(run(op, [exact]), wanted, rtol=1e-13)


def test_global_lp_of_any_order() -> None:
    x = np.random.default_rng(9).normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
    for p in (1, 3):
        expected = (np.abs(x.astype(np.float64)) ** p).sum((2, 3), keepdims=True) ** (1 / p)
        np.testing.assert_allclose(run("GlobalLpPool", [x], p=p), expected, rtol=20 * EPS)


def test_sizes_of_zero() -> None:
    none = np.zeros((0, 4, 5, 5), np.float32)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        assert run(op, [none], kernel_shape=[2, 2]).shape == (0, 4, 4, 4)
        assert run(op, [none.reshape(4, 0, 5, 5)], kernel_shape=[2, 2]).shape == (4, 0, 4, 4)
    assert run("GlobalAveragePool", [none]).shape == (0, 4, 1, 1)
    y, where = run("MaxPool", [none], outputs=2, kernel_shape=[2, 2])
    assert y.shape == where.shape == (0, 4, 4, 4)


def test_messages() -> None:
    x = np.zeros((1, 2, 5, 5), np.float32)
    fails("MaxPool", [x], "'kernel_shape' is [2], expected 2 values", kernel_shape=[2])
    fails("MaxPool", [x], "'kernel_shape' is [0, 2], expected values from 1", kernel_shape=[0, 2])
    fails("MaxPool", [x], "more than the padded input", kernel_shape=[6, 2])
    fails("MaxPool", [x], "'strides' is [0, 1]", kernel_shape=[2, 2], strides=[0, 1])
    fails("MaxPool", [x], "'pads' is [-1, 0, 0, 0]", kernel_shape=[2, 2], pads=[-1, 0, 0, 0])
    fails("MaxPool", [x], "'auto_pad' is 'SAME'", kernel_shape=[2, 2], auto_pad="SAME")
    fails("MaxPool", [x], "'storage_order' is 2", kernel_shape=[2, 2], storage_order=2)
    fails("MaxPool", [x[0, 0]], "must have rank 3", kernel_shape=[2, 2])
    fails("AveragePool", [x.astype(np.int32)], "must be of float32", kernel_shape=[2, 2])
    fails("LpPool", [x], "'p' is 0", kernel_shape=[2, 2], p=0)
    indices = np.full(x.shape, 25 * 2, np.int64)
    fails("MaxUnpool", [x, indices[0]], "indices (input 1) have shape", kernel_shape=[1, 1])
    fails("MaxUnpool", [x, indices], "outside [0, 50)", kernel_shape=[1, 1])
