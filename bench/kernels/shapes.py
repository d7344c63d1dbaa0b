"""Reading bench/shapes/*.txt, and the judgement of what was timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "shapes"
# The most that a choice may lose against the best candidate.
SLACK = 1.10


@dataclass(frozen=True)
class Shape:
    """One layer: square images and kernels, and how often the network has it."""

    name: str
    channels: int
    size: int
    outputs: int
    kernel: int
    stride: int
    pad: int
    group: int
    count: int


def read(path: Path) -> list[Shape]:
    """The layers of a file: `name` and eight numbers a line, # for comments.

    Raises:
        ValueError: A line has another form.
    """
    shapes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, *fields = line.split()
        if len(fields) != 8 or not all(field.isdigit() for field in fields):
            raise ValueError(f"{path}:{number}: expected a name and 8 numbers, found {line!r}")
        shapes.append(Shape(name, *(int(field) for field in fields)))
    return shapes


@dataclass(frozen=True)
class Loss:
    """A layer for which another candidate was faster."""

    layer: str
    pick: str
    best: str
    ratio: float

    def __str__(self) -> str:
        return f"{self.layer}: {self.pick} was taken, {self.best} is {self.ratio:.2f} times as fast"


def losses(
    seconds: Mapping[str, Mapping[str, float]], picks: Mapping[str, str], slack: float = SLACK
) -> list[Loss]:
    """The layers whose pick takes more than `slack` times as long as the best candidate.

    Args:
        seconds: per layer and algorithm.
        picks: per layer, the algorithm that the engine chose.
        slack: the ratio that is allowed.
    """
    found = []
    for layer, times in seconds.items():
        pick = picks[layer]
        best = min(times, key=lambda name: times[name])
        ratio = times[pick] / times[best]
        if ratio > slack:
            found.append(Loss(layer, pick, best, ratio))
    return found
