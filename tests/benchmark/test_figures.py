"""Percentiles, means and spread, against NumPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lanewise.benchmark.figures import geometric_mean, median, percentile, spread, summary


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_percentiles_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    for percent in (0, 1, 50, 90, 99, 100):
        want = np.percentile(values, percent)
        assert percentile(list(values), percent) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "want"), [([5.0], 5.0), ([9.0, 1.0, 4.0], 4.0), ([4.0, 1.0, 2.0, 8.0], 3.0)]
)
def test_median(values: list[float], want: float) -> None:
    assert median(values) == want


def test_geometric_mean() -> None:
    assert geometric_mean([1.0, 2.0, 4.0]) == pytest.approx(2.0)
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert geometric_mean([]) is None


def test_spread_is_relative() -> None:
    assert spread([1.0, 1.0, 1.0]) == 0.0
    assert spread([8.0, 10.0, 13.0]) == pytest.approx(0.2)


def test_summary_is_in_milliseconds() -> None:
    found = summary([0.004, 0.001, 0.002, 0.003, 0.010])
    assert found["min"] == 1.0 and found["max"] == 10.0
    assert found["mean"] == pytest.approx(4.0)
    assert found["p50"] == pytest.approx(3.0)
    assert found["p90"] == pytest.approx(7.6)
    assert list(found) == ["min", "mean", "p50", "p90", "p99", "max"]
