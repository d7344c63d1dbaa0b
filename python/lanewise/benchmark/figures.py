"""Arithmetic on times: percentiles, medians, means, spread, throughput."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["geometric_mean", "median", "percentile", "spread", "summary"]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` % of the values do not pass, linear between neighbours.

    >>> percentile([4.0, 1.0, 2.0, 3.0], 50)
    2.5
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Iterable[float]) -> float:
    """The median: the middle value, or the mean of the two in the middle.

    >>> median([3, 1, 2, 10])
    2.5
    """
    return percentile(list(values), 50)


def geometric_mean(values: Iterable[float]) -> float | None:
    """The geometric mean, or None of nothing.

    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def spread(times: Sequence[float]) -> float:
    """Median distance from the median, as a part of the median: how noisy the rounds were."""
    middle = median(times)
    return median(abs(value - middle) for value in times) / middle


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds of single runs: min, mean, p50, p90, p99, max."""
    ms = [1e3 * value for value in seconds]
    percents = {f"p{percent}": percentile(ms, percent) for percent in (50, 90, 99)}
    return {"min": min(ms), "mean": math.fsum(ms) / len(ms), **percents, "max": max(ms)}
