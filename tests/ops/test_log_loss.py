"""NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import fails, run

Array = NDArray[Any]
SHAPES = [(3, 5), (2, 4, 7), (1, 3, 2, 5), (5000, 3), (2, 1, 4), (0, 4), (2, 3, 0)]


def exact(x: Array, labels: Array, weights: Array | None, ignored: int | None) -> Array:
    """Loss and weight of each position in float64."""
    classes = x.shape[1]
    rows = np.moveaxis(x.astype(np.float64), 1, -1).reshape(-1, classes)
    flat = labels.reshape(-1)
    kept = np.ones(flat.shape, bool) if ignored is None else flat != ignored
    at = np.where(kept, flat, 0)
    w = np.ones(classes) if weights is None else weights.astype(np.float64)
    weight = np.where(kept, w[at], 0.0)
    loss = -rows[np.arange(len(flat)), at] * weight
    return np.stack([loss, weight])


def log_softmax(x: Array) -> Array:
    shifted = x.astype(np.float64) - x.max(axis=1, keepdims=True, initial=-1e30)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 0, -3])
def test_nll(shape: tuple[int, ...], reduction: str, weighted: bool, ignored: int | None) -> None:
    rng = np.random.default_rng(7)
    for dtype, label_type in ((np.float32, np.int64), (np.float64, np.int32)):
        x = rng.normal(size=shape).astype(dtype)
        labels = rng.integers(0, shape[1], (shape[0], *shape[2:])).astype(label_type)
        if ignored is not None and labels.size:
            labels.reshape(-1)[::2] = ignored
            labels.reshape(-1)[-1] = shape[1] - 1
        weights = rng.uniform(0.5, 2, shape[1]).astype(dtype) if weighted else None
        attributes: dict[str, Any] = {} if ignored is None else {"ignore_index": ignored}
        inputs = [x, labels] + ([weights] if weighted else [])
        got = run("NegativeLogLikelihoodLoss", inputs, reduction=reduction, **attributes)
        loss, weight = exact(x, labels, weights, ignored)
        assert got.dtype == dtype
        # Each product is rounded once; sums are in float64.
        unit = np.finfo(dtype).eps * (np.abs(loss).sum() + 1e-30)
        if reduction == "none":
            assert got.shape == labels.shape
            np.testing.assert_allclose(got.ravel(), loss, rtol=np.finfo(dtype).eps)
        elif reduction == "sum":
            assert abs(float(got) - loss.sum()) <= 2 * unit
        elif weight.sum() == 0:
            assert np.isnan(got)
        else:
            assert abs(float(got) - loss.sum() / weight.sum()) <= 4 * unit / weight.sum()


@pytest.mark.parametrize("shape", SHAPES[:5], ids=str)
@pytest.mark.parametrize("outputs", [1, 2])
def test_softmax_cross_entropy(shape: tuple[int, ...], outputs: int) -> None:
    rng = np.random.default_rng(9)
    x = (rng.normal(size=shape) * 30).astype(np.float32)
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    got = run("SoftmaxCrossEntropyLoss", [x, labels], outputs=outputs, reduction="mean")
    wanted = log_softmax(x)
    loss, weight = exact(wanted, labels, None, None)
    mean = got if outputs == 1 else got[0]
    np.testing.assert_allclose(mean, loss.sum() / weight.sum(), rtol=1e-6, atol=1e-6)
    if outputs == 2:
        np.testing.assert_allclose(got[1], wanted, rtol=1e-6, atol=2e-5)


def test_float16_rounds_once() -> None:
    x = np.full((3, 2), 0.1, np.float16)
    got = run("NegativeLogLikelihoodLoss", [x, np.zeros(3, np.int64)], reduction="sum")
    assert got.dtype == np.float16
    assert got == np.float16(-3 * np.float32(np.float16(0.1)))


def test_faults_are_named() -> None:
    x, labels = np.zeros((2, 3), np.float32), np.array([0, 3])
    fails("NegativeLogLikelihoodLoss", [x, labels], "label 1 is 3, expected 0 to 2")
    fails("NegativeLogLikelihoodLoss", [x, np.zeros(3, np.int64)], "must have shape [2]")
    fails("NegativeLogLikelihoodLoss", [x, labels, np.zeros(2, np.float32)], "weights (input 2)")
    fails("NegativeLogLikelihoodLoss", [x, labels], "'reduction' is 'all'", reduction="all")
    fails("NegativeLogLikelihoodLoss", [x[0], labels], "[N, C, ...]")
