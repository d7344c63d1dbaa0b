"""float32 products from three bfloat16 parts: as exact as the float32 tiles, infinities and NaN as
they are, which numerics allow them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import lanewise as lw
from lanewise import _core
from tests.ops.one_node import model

Array = NDArray[np.float32]
CONV = {"pointwise bf16x3": 1, "direct bf16x3": 3}

pytestmark = pytest.mark.skipif(
    "amx" not in _core.isas(), reason="this machine has no unit for products of bfloat16 tiles"
)


def conv(x: Array, w: Array) -> onnx.ModelProto:
    """One convolution whose output is as large as its input."""
    pad = w.shape[2] // 2
    return model("Conv", [x, w], constants=[1], channels_last=True, pads=[pad] * 4)


def draw(kernel: int, channels: int, outputs: int, size: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, channels, size, size)).astype(np.float32)
    w = rng.standard_normal((outputs, channels, kernel, kernel)).astype(np.float32)
    return x, w


def run(proto: onnx.ModelProto, x: Array, **options: Any) -> Array:
    result = lw.load(proto, threads=1, **options)(x)
    assert isinstance(result, np.ndarray)
    return result


def algorithm(proto: onnx.ModelProto, x: Array, **options: Any) -> str:
    plan = lw.load(proto, threads=1, **options).describe({"x0": x.shape})
    return next(layer.algorithm for layer in plan.layers if "Conv" in layer.op)


@pytest.mark.parametrize("name", CONV)
@pytest.mark.parametrize(
    ("channels", "outputs", "size"), [(64, 64, 9), (96, 33, 20), (608, 70, 14)]
)
def test_is_as_near_to_float64_as_the_float32_tiles(
    name: str, channels: int, outputs: int, size: int
) -> None:
    x, w = draw(CONV[name], channels, outputs, size)
    proto = conv(x, w)
    wide = model("Conv", [x.astype(np.float64), w.astype(np.float64)], constants=[1],
                 pads=[CONV[name] // 2] * 4)  # fmt: skip
    exact = lw.load(wide)(x.astype(np.float64))
    scale = np.abs(exact).max()
    parts = np.abs(run(proto, x, isa="amx", _force=name) - exact).max() / scale
    tiles = np.abs(run(proto, x, isa="avx512", _force=name.split()[0]) - exact).max() / scale
    assert parts <= 2 * tiles


@pytest.mark.parametrize("name", CONV)
def test_infinities_and_nan_stay_in_their_sums(name: str) -> None:
    x, w = draw(CONV[name], 608, 40, 14)
    w[0, 1] = 0.0
    x[0, 1, 3, 3], x[0, 2, 13, 0], x[0, 607, 7, 9] = np.inf, np.nan, -np.inf
    proto = conv(x, w)
    got = run(proto, x, isa="amx", _force=name)
    want = run(proto, x, isa="avx512", _force=name.split()[0])
    assert np.isinf(want).any() and np.isnan(want).any() and np.isfinite(want).any()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(got[np.isinf(want)], want[np.isinf(want)])
    np.testing.assert_allclose(
        got[np.isfinite(want)],
        want[np.isfinite(want)],
        atol=1e-5 * np.abs(want[np.isfinite(want)]).max(),
    )


def test_a_product_of_two_activations_that_are_not_finite() -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal((64, 128)).astype(np.float32)
    b = rng.standard_normal((128, 96)).astype(np.float32)
    proto = model("MatMul", [a, b])
    loaded = lw.load(proto, threads=1)
    plan = loaded.describe({"x0": a.shape, "x1": b.shape})
    assert "bf16x3" in plan.layers[-1].algorithm
    np.testing.assert_allclose(loaded(a, b), a @ b, atol=1e-4)
    b[3, 4] = np.inf
    got = np.asarray(loaded(a, b))
    assert np.isinf(got[:, 4]).all() and np.isfinite(np.delete(got, 4, 1)).all()


def test_strict_numerics_and_odd_weights_keep_the_float32_tiles() -> None:
    x, w = draw(1, 256, 256, 28)
    assert algorithm(conv(x, w), x) == "pointwise bf16x3"
    assert algorithm(conv(x, w), x, numerics="reproducible") == "pointwise bf16x3"
    assert algorithm(conv(x, w), x, numerics="strict") == "pointwise"
    w[5, 5] = np.inf
    assert algorithm(conv(x, w), x) == "pointwise"


def test_a_sample_has_the_same_bits_alone_and_in_a_batch() -> None:
    x, w = draw(1, 128, 96, 13)
    rng = np.random.default_rng(2)
    others = rng.standard_normal((3, 128, 13, 13)).astype(np.float32)
    batch = np.concatenate([others[:2], x, others[2:]])
    alone = run(conv(x, w), x, numerics="reproducible")
    together = run(conv(batch, w), batch, numerics="reproducible")
    np.testing.assert_array_equal(together[2:3], alone)
