"""Taking times: engines take turns in every round, so that a slow spell of the machine hits all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .engines import Engine, Feed, Run, difference
from .subject import Subject

# Engines leave threads spinning for a while after a run; wait for them before the next one's turn.
SETTLE_SECONDS = 0.02
MAX_CALLS = 100


@dataclass
class Result:
    """One subject on all engines.

    Attributes:
        name: The subject.
        times: Seconds per run by engine: one number per round, the median of the calls of its turn.
        errors: Largest relative difference of its outputs to the reference engine's, by engine.
        left_out: Why an engine was not timed, by engine.
    """

    name: str
    times: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """How to measure: `turn_seconds` is how long an engine runs in each round, at least once."""

    threads: int = 1
    rounds: int = 7
    turn_seconds: float = 0.1
    tolerance: float = 1e-3


def measure(
    subject: Subject,
    engines: Sequence[Engine],
    settings: Settings,
    tick: Callable[[], None] = lambda: None,
) -> Result:
    """Loads the subject on all engines, compares their outputs, and times those that agree.

    The reference for the comparison is ONNX Runtime where it takes part, else the first engine that
    runs. An engine that fails or disagrees is left out of this subject, with the reason.

    Args:
        subject: What to run.
        engines: Who runs it.
        settings: How.
        tick: Called after each round.
    """
    result = Result(subject.name)
    order = sorted(engines, key=lambda engine: engine.name != "onnxruntime")
    runs: dict[str, Run] = {}
    reference = None
    for engine in order:
        try:
            run = engine.load(subject.file, subject.feed, settings.threads)
            # Outputs may be views of memory that the engine uses again.
            outputs = {name: value.copy() for name, value in run(subject.feed).items()}
        except Exception as error:  # whatever an engine raises, the others go on
            result.left_out[engine.name] = f"cannot run: {_first_line(error)}"
            continue
        reference = outputs if reference is None else reference
        result.errors[engine.name] = difference(outputs, reference)
        if result.errors[engine.name] <= settings.tolerance:
            runs[engine.name] = run
        else:
            error_text = f"{result.errors[engine.name]:.2g}"
            result.left_out[engine.name] = f"disagrees: relative error {error_text}"
    names = [engine.name for engine in engines if engine.name in runs]
    result.times = take_turns({n: runs[n] for n in names}, subject.feed, settings, tick)
    return result


def take_turns(
    runs: dict[str, Run], feed: Feed, settings: Settings, tick: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds per run of each engine in each round; who begins changes from round to round."""
    names = list(runs)
    calls = {name: _calls(runs[name], feed, settings.turn_seconds) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(settings.rounds):
        shift = number % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            time.sleep(SETTLE_SECONDS)
            runs[name](feed)  # brings threads and caches back
            times[name].append(median(_timed(runs[name], feed) for _ in range(calls[name])))
        tick()
    return times


def median(values: Iterable[float]) -> float:
    """The median: the middle value, or the mean of the two in the middle.

    >>> median([3, 1, 2, 10])
    2.5
    """
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _calls(run: Run, feed: Feed, seconds: float) -> int:
    run(feed)
    once = min(_timed(run, feed) for _ in range(2))
    return min(MAX_CALLS, max(1, math.ceil(seconds / max(once, 1e-9))))


def _timed(run: Run, feed: Feed) -> float:
    start = time.perf_counter()
    run(feed)
    return time.perf_counter() - start


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
