"""What the demos share: goals, latency, where the time went, and how these are printed.

Nothing here knows a network or its data.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import lanewise as lw

DATA_DIR = Path(__file__).resolve().parent / "data"
TOP_LAYERS = 5
MIN_RUNS = 20
MAX_RUNS = 500
MEASURE_SECONDS = 0.5


@dataclass(frozen=True)
class Goal:
    """A figure that a demo must reach: `value >= bound`."""

    name: str
    value: float
    bound: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the figure was reached; a NaN never is."""
        return self.value >= self.bound


@dataclass(frozen=True)
class LayerTime:
    """One layer of a profile; `share` is its part of the whole, 0..1."""

    name: str
    op: str
    algorithm: str
    ms: float
    gflops: float
    share: float


@dataclass(frozen=True)
class Speed:
    """Median time of one input on its own, and the layers that took most of a profiled run."""

    latency_ms: float
    runs: int
    input_shape: tuple[int, ...]
    top_layers: list[LayerTime] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """What one demo found.

    Attributes:
        title: what the demo does, for people.
        figures: its numbers by name: plain floats, ints, lists and strings.
        goals: what it must reach.
        speed: how long one input takes.
        files: what it wrote.
    """

    title: str
    figures: dict[str, Any]
    goals: list[Goal]
    speed: Speed
    files: list[Path] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every goal is met."""
        return all(goal.met for goal in self.goals)

    def as_dict(self) -> dict[str, Any]:
        """The result as values that `json` can write."""
        plain = asdict(self)
        plain["goals"] = [{**asdict(goal), "met": goal.met} for goal in self.goals]
        plain["files"] = [str(path) for path in self.files]
        plain["passed"] = self.passed
        return plain


def data_path(name: str) -> Path:
    """Path of a file that ships with the demos, such as "digits.onnx"."""
    return DATA_DIR / name


def psnr(truth: NDArray[Any], estimate: NDArray[Any], peak: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean squared error).

    Args:
        truth: the reference, any shape and numeric dtype.
        estimate: the same shape.
        peak: the largest value a pixel can have, for example 255.

    Returns:
        Decibels; infinity when the two are equal.
    """
    error = truth.astype(np.float64) - estimate.astype(np.float64)
    mean_square = float(np.mean(np.square(error)))
    return math.inf if mean_square == 0 else 10 * math.log10(peak * peak / mean_square)


def apply(model: lw.Model, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first output of `model` for its first input `x`."""
    output = model.outputs[0].name
    y: NDArray[np.float32] = model.run({model.inputs[0].name: x}, outputs=[output])[output]
    return y


def measure(model: lw.Model, x: NDArray[np.float32]) -> Speed:
    """Times `model` on `x`, which holds one sample, and profiles its layers.

    The first runs make the plan and warm the caches and are not counted. Then runs repeat
    until both MIN_RUNS and MEASURE_SECONDS are over, or MAX_RUNS is reached.
    """
    for _ in range(3):
        apply(model, x)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < MAX_RUNS and (
        len(times) < MIN_RUNS or time.perf_counter() - start < MEASURE_SECONDS
    ):
        before = time.perf_counter()
        apply(model, x)
        times.append(time.perf_counter() - before)
    profile = model.profile({model.inputs[0].name: x}, runs=5)
    whole = sum(layer.ms for layer in profile.layers) or math.inf
    slowest = sorted(profile.layers, key=lambda layer: layer.ms, reverse=True)[:TOP_LAYERS]
    layers = [
        LayerTime(layer.name, layer.op, layer.algorithm, layer.ms, layer.gflops, layer.ms / whole)
        for layer in slowest
    ]
    return Speed(statistics.median(times) * 1e3, len(times), x.shape, layers)


def show(result: Result, console: Console) -> None:
    """Prints the parts that all demos have: speed, layers, files and goals."""
    speed = result.speed
    shape = "x".join(map(str, speed.input_shape))
    console.print(
        f"Latency: {speed.latency_ms:.3f} ms per image ({shape}, median of {speed.runs} runs)"
    )
    console.print("Where the time went, by layer:")
    table = Table(box=None, pad_edge=False)
    for heading in ("layer", "operator", "algorithm"):
        table.add_column(heading)
    for heading in ("ms", "GFLOP/s", "share"):
        table.add_column(heading, justify="right")
    for layer in speed.top_layers:
        cells = (f"{layer.ms:.4f}", f"{layer.gflops:.1f}", f"{layer.share:.0%}")
        table.add_row(layer.name, layer.op, layer.algorithm, *cells)
    console.print(table)
    for path in result.files:
        console.print(f"Wrote {path}", soft_wrap=True)
    for goal in result.goals:
        word = "[green]reached[/]" if goal.met else "[bold red]MISSED[/]"
        value, bound = _figure(goal.value, goal.unit), _figure(goal.bound, goal.unit)
        console.print(f"Goal {word}: {goal.name} {value} (at least {bound})")


def _figure(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "" else f"{value:.2f} {unit}"
