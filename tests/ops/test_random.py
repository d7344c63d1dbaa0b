"""Random operators: those of onnx.reference where a seed is given, else by their distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import fails, reference, run

SHAPE = (37, 11)


@pytest.mark.parametrize("seed", [0.0, 1.0, 123456.0])
@pytest.mark.parametrize("code", [1, 11])
def test_seeded_numbers_are_the_references(seed: float, code: int) -> None:
    like = np.zeros(SHAPE, np.float32)
    for op, attributes in (
        ("RandomUniform", {"low": -2.0, "high": 3.5}),
        ("RandomNormal", {"mean": 1.0, "scale": 0.25}),
    ):
        options: dict[str, Any] = {"seed": seed, "dtype": code, **attributes}
        wanted = reference(op, [], shape=list(SHAPE), **options)
        np.testing.assert_array_equal(run(op, [], shape=list(SHAPE), **options), wanted)
        np.testing.assert_array_equal(run(op + "Like", [like], **options), wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_seeded_trials_are_the_references(dtype: Any) -> None:
    p = np.random.default_rng(0).uniform(size=SHAPE).astype(dtype)
    p[0, :3] = [0, 1, 0.5]
    np.testing.assert_array_equal(
        run("Bernoulli", [p], seed=3.0), reference("Bernoulli", [p], seed=3.0)
    )
    assert run("Bernoulli", [p], dtype=9).dtype == np.bool_


def test_without_a_seed_runs_differ() -> None:
    first, second = (run("RandomUniform", [], shape=[100]) for _ in range(2))
    assert not np.array_equal(first, second)


def test_moments() -> None:
    u = run("RandomUniform", [], shape=[100000], seed=5.0)
    n = run("RandomNormal", [], shape=[100000], seed=5.0)
    assert abs(u.mean() - 0.5) < 5e-3 and u.min() >= 0 and u.max() < 1
    assert abs(n.mean()) < 2e-2 and abs(n.std() - 1) < 2e-2


@pytest.mark.parametrize("code", [6, 7])
def test_multinomial_draws_by_probability(code: int) -> None:
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        logits = (np.log(p) + np.array([[5.0], [-800.0]])).astype(np.float32)
    got = run("Multinomial", [logits], sample_size=20000, seed=1.0, dtype=code)
    assert got.dtype == (np.int32 if code == 6 else np.int64)
    counts = np.stack([np.bincount(row, minlength=3) for row in got]) / 20000
    np.testing.assert_allclose(counts, p, atol=0.015)
    assert counts[1, 1] == 0


def test_zero_sizes() -> None:
    assert run("RandomNormal", [], shape=[0, 3]).shape == (0, 3)
    assert run("Multinomial", [np.zeros((0, 4), np.float32)], sample_size=2).shape == (0, 2)


def test_faults_are_named() -> None:
    fails("Bernoulli", [np.array([0.5, 1.5], np.float32)], "at element 1 is not between 0 and 1")
    fails("RandomUniform", [], "'shape' has the size -1", shape=[-1])
    fails("RandomUniformLike", [np.zeros(3, np.int32)], "must be of a float type, found int32")
    fails("Multinomial", [np.full((1, 2), -np.inf, np.float32)], "row 0 has no finite")
    fails("Multinomial", [np.zeros((1, 2), np.float32)], "'sample_size' is 0", sample_size=0)
