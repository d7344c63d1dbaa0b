"""Times networks at each numerics level, interleaved: what "reproducible" and "strict" cost.

Every ratio is the median over rounds of one level's time by that of "fast" in the same round.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean, median
from typing import Literal, get_args

from rich.console import Console
from rich.table import Table

import lanewise as lw
from bench import networks
from bench.peers import subject

Level = Literal["fast", "reproducible", "strict"]
LEVELS: tuple[Level, ...] = get_args(Level)


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    out = argparse.ArgumentParser("python -m bench.numerics", description=__doc__)
    out.add_argument("names", nargs="+", metavar="NAME", help="networks or .onnx files")
    out.add_argument("--threads", type=int, default=1, help="threads (1)")
    out.add_argument("--rounds", type=int, default=9, help="runs of each level (9)")
    out.add_argument("--cache", type=Path, metavar="DIR", help="keep the networks' files here")
    return out


def measure(found: subject.Subject, threads: int, rounds: int) -> list[list[float]]:
    """Seconds by level and round, each after a run that is not counted."""
    models = [lw.load(found.file, threads=threads, numerics=level) for level in LEVELS]
    seconds: list[list[float]] = [[] for _ in LEVELS]
    for turn in range(-1, rounds):
        for model, times in zip(models, seconds, strict=True):
            model.run(found.feed)
            start = time.perf_counter()
            model.run(found.feed)
            if turn >= 0:
                times.append(time.perf_counter() - start)
    return seconds


def costs(seconds: Sequence[Sequence[float]]) -> list[float]:
    """Each level's time by that of the first, as the median over rounds.

    Example:
        >>> from bench.numerics.__main__ import costs
        >>> costs([[1.0, 2.0, 1.0], [1.5, 3.0, 9.0]])
        [1.0, 1.5]
    """
    return [
        median(time / fast for time, fast in zip(times, seconds[0], strict=True))
        for times in seconds
    ]


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 1 if a network is not there."""
    args = parser().parse_args(arguments)
    table = Table("network", "fast ms", *(f"{level} / fast" for level in LEVELS[1:]), box=None)
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in args.names:
                found = subject.find(name, args.cache or Path(folder), 1, 0)
                seconds = measure(found, args.threads, args.rounds)
                rows.append(costs(seconds))
                cells = (f"{cost:.2f}" for cost in rows[-1][1:])
                table.add_row(found.name, f"{median(seconds[0]) * 1e3:.2f}", *cells)
    except (OSError, ValueError, networks.UnknownNetworkError) as error:
        print(error, file=sys.stderr)
        return 1
    means = [geometric_mean(column) for column in zip(*rows, strict=True)]
    table.add_row("geometric mean", "", *(f"{mean:.2f}" for mean in means[1:]))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
