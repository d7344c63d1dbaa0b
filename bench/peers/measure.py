"""Loading a subject on all engines, comparing their outputs, and timing those that agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from lanewise.benchmark.engines import Engine, Loaded, Setup, difference
from lanewise.benchmark.figures import median
from lanewise.benchmark.turns import Pace, take_turns

from .subject import Subject

WARM_UP = 3
MAX_CALLS = 100


@dataclass
class Result:
    """One subject on all engines.

    Attributes:
        name: The subject.
        times: Seconds per run by engine: one number per round, the median of the calls of its turn.
        errors: Largest relative difference of its outputs to the reference engine's, by engine.
        left_out: Why an engine was not timed, by engine.
        interrupted: Whether Ctrl-C ended it; the times are those of whole rounds.
    """

    name: str
    times: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


@dataclass(frozen=True)
class Settings:
    """How to measure: `turn_seconds` is how long an engine runs in each round, at least once."""

    threads: int = 1
    rounds: int = 7
    turn_seconds: float = 0.1
    tolerance: float = 1e-3

    @property
    def pace(self) -> Pace:
        """The same for `take_turns`."""
        return Pace(
            self.rounds,
            seconds=self.rounds * self.turn_seconds,
            least=self.rounds,
            most=self.rounds * MAX_CALLS,
        )


def measure(
    subject: Subject,
    engines: Sequence[Engine],
    settings: Settings,
    tick: Callable[[float], None] = lambda part: None,
) -> Result:
    """Loads the subject on all engines, compares their outputs, and times those that agree.

    The reference for the comparison is ONNX Runtime where it takes part, else the first engine that
    runs. An engine that fails or disagrees is left out of this subject, with the reason.

    Args:
        subject: What to run.
        engines: Who runs it.
        settings: How.
        tick: Called with the done part, 0..1, between runs.
    """
    result = Result(subject.name)
    order = sorted(engines, key=lambda engine: engine.name != "onnxruntime")
    setup = Setup(settings.threads)
    runs: dict[str, Loaded] = {}
    reference = None
    for engine in order:
        try:
            loaded = engine.load(subject.file, subject.feed, setup)
            # Outputs may be views of memory that the engine uses again.
            outputs = {name: value.copy() for name, value in loaded.run(subject.feed).items()}
        except Exception as error:  # whatever an engine raises, the others go on
            result.left_out[engine.name] = f"cannot run: {_first_line(error)}"
            continue
        reference = outputs if reference is None else reference
        result.errors[engine.name] = difference(outputs, reference)
        if result.errors[engine.name] <= settings.tolerance:
            runs[engine.name] = loaded
        else:
            error_text = f"{result.errors[engine.name]:.2g}"
            result.left_out[engine.name] = f"disagrees: relative error {error_text}"
    calls = {e.name: partial(runs[e.name].run, subject.feed) for e in engines if e.name in runs}
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    turns = take_turns(calls, settings.pace, lambda name, part: tick(part))
    result.interrupted = turns.interrupted
    result.times = {
        name: [median(turn.seconds) for turn in taken] for name, taken in turns.by_call.items()
    }
    return result


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
