"""Operators whose operands or results may be of different types, and types that few operators take.

A result has the type that ONNX's schema ties it to, whichever of the operands are 16-bit floats.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.ops.one_node import Array, fails, run

HALF, SINGLE, DOUBLE, BRAIN = np.float16, np.float32, np.float64, ml_dtypes.bfloat16
FLOATS = [HALF, SINGLE, DOUBLE, BRAIN]


def tolerance(*dtypes: Any) -> float:
    return max(4 * float(ml_dtypes.finfo(dtype).eps) for dtype in dtypes)


@pytest.mark.parametrize("x_type", FLOATS)
@pytest.mark.parametrize("scale_type", FLOATS)
def test_rms_norm_has_the_type_of_its_scale(x_type: Any, scale_type: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5)).astype(x_type)
    scale = rng.normal(1, 0.2, 5).astype(scale_type)
    got = run("RMSNormalization", [x, scale])
    assert got.dtype == scale_type
    wide = x.astype(DOUBLE)
    y = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-5) * scale.astype(DOUBLE)
    np.testing.assert_allclose(got.astype(DOUBLE), y, rtol=tolerance(scale_type, SINGLE))


@pytest.mark.parametrize("x_type", [HALF, SINGLE, DOUBLE])
@pytest.mark.parametrize(("stash", "wanted"), [(1, SINGLE), (16, BRAIN), (11, DOUBLE)])
def test_layer_norm_gives_statistics_of_its_stash_type(
    x_type: Any, stash: int, wanted: Any
) -> None:
    x = np.arange(12, dtype=x_type).reshape(3, 4)
    y, mean, inverse = run("LayerNormalization", [x, np.ones(4, x_type)], outputs=3,
                           stash_type=stash)  # fmt: skip
    assert [v.dtype for v in (y, mean, inverse)] == [x_type, wanted, wanted]
    wide = x.astype(DOUBLE)
    bound = tolerance(wanted)
    np.testing.assert_allclose(mean.astype(DOUBLE)[:, 0], wide.mean(-1), rtol=bound)
    exact = 1 / np.sqrt(wide.var(-1) + 1e-5)
    np.testing.assert_allclose(inverse.astype(DOUBLE)[:, 0], exact, rtol=max(bound, 1e-6))
    fails("LayerNormalization", [x, np.ones(4, x_type)], "'stash_type' is 7", stash_type=7)


def test_batch_norm_keeps_the_types_of_its_statistics() -> None:
    x = np.arange(24, dtype=HALF).reshape(2, 3, 4)
    scale, bias = np.ones(3, HALF), np.zeros(3, HALF)
    mean, variance = np.zeros(3, SINGLE), np.ones(3, SINGLE)
    results = run("BatchNormalization", [x, scale, bias, mean, variance], outputs=3,
                  training_mode=1)  # fmt: skip
    assert [r.dtype for r in results] == [HALF, SINGLE, SINGLE]
    exact = 0.1 * x.astype(DOUBLE).mean((0, 2))  # momentum 0.9
    np.testing.assert_allclose(results[1], exact, rtol=1e-6)
    mixed = run("BatchNormalization", [x.astype(SINGLE), scale, bias, mean, variance])
    assert mixed.dtype == SINGLE


def test_types_that_attributes_name() -> None:
    x = np.full((2, 3), 0.5, HALF)
    codes = np.array([1, 2], np.int8)
    assert run("DequantizeLinear", [codes, np.array(0.1, HALF)], output_dtype=1).dtype == SINGLE
    assert run("DequantizeLinear", [codes, np.array(0.1, HALF)]).dtype == HALF
    for op in ("RandomNormalLike", "RandomUniformLike", "Bernoulli"):
        assert run(op, [x], dtype=1).dtype == SINGLE
        assert run(op, [x]).dtype == HALF


def test_other_operands_do_not_narrow_the_result() -> None:
    x = np.arange(16, dtype=SINGLE).reshape(1, 1, 4, 4) + SINGLE(2.0**-20)
    grid = np.zeros((1, 1, 1, 2), HALF)
    assert run("GridSample", [x, grid]).dtype == SINGLE
    assert run("Pow", [x, np.array(2, HALF)]).dtype == SINGLE
    assert run("Pow", [x.astype(HALF), np.array(2, SINGLE)]).dtype == HALF


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers(dtype: Any) -> None:
    z = np.array([2 + 1j, 1 + 5j, 2 - 1j, 1 + 5j, 2 + 1j], dtype)
    values, first, inverse, counts = run("Unique", [z], outputs=4)
    expected = np.unique(z, return_index=True, return_inverse=True, return_counts=True)
    for got, wanted in zip((values, first, inverse, counts), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    image = (np.arange(4) + 1j * np.arange(4)[::-1]).astype(dtype).reshape(1, 1, 2, 2)
    centre = np.zeros((1, 1, 1, 2), SINGLE)
    assert run("GridSample", [image, centre]).item() == image.mean()
    columns = (np.arange(4) * 1j).astype(dtype).reshape(1, 1, 4)
    shapes = [np.array([2, 2]), np.array([1, 1])]
    np.testing.assert_array_equal(run("Col2Im", [columns, *shapes]).ravel(), columns.ravel())


def test_bools_and_strings() -> None:
    truth = np.array([[[[True, False], [False, False]]]])
    corner = np.array([[[[-0.9, -0.9], [0.9, 0.9], [9.0, 9.0]]]], SINGLE)
    sampled = run("GridSample", [truth, corner], mode="nearest")
    np.testing.assert_array_equal(sampled.ravel(), [True, False, False])
    text = np.array([[[["a", "b"], ["c", "d"]]]], object)
    sampled = run("GridSample", [text, corner], mode="nearest")
    assert list(sampled.ravel()) == ["a", "d", ""]
    fails("GridSample", [text, corner], "set the attribute 'mode' to 'nearest'")
    # Two blocks of two that overlap in the middle: a sum of bools is their "or".
    columns = np.array([[[True, False], [False, False]]])
    shapes: list[Array] = [np.array([1, 3]), np.array([1, 2])]
    np.testing.assert_array_equal(run("Col2Im", [columns, *shapes]).ravel(), [True, False, False])
    texts = np.full((1, 2, 2), "a", object)
    fails("Col2Im", [texts, *shapes], "numbers or bools")
