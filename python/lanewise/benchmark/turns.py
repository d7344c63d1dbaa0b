"""Taking times: calls take turns in every round, so that a slow spell of the machine hits all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lanewise.benchmark.energy import Meter

__all__ = ["Pace", "Turn", "Turns", "take_turns", "timed"]

# Engines leave threads spinning for a while after a run; wait for them before the next one's turn.
SETTLE_SECONDS = 0.02
TICK_SECONDS = 0.1

Call = Callable[[], object]


@dataclass(frozen=True)
class Pace:
    """How long each call is measured, over all rounds.

    Attributes:
        rounds: of turns.
        runs: how many times; None for as long as `seconds`.
        seconds: where `runs` is None.
        least: runs at least, where `runs` is None.
        most: runs at most, where `runs` is None.
    """

    rounds: int = 1
    runs: int | None = None
    seconds: float = 0.0
    least: int = 1
    most: int | None = None

    def share(self, number: int) -> Pace:
        """What round `number` contributes: of runs that do not divide, the first rounds do more."""
        if self.runs is not None:
            whole, rest = divmod(self.runs, self.rounds)
            return Pace(runs=whole + (number < rest))
        least = math.ceil(self.least / self.rounds)
        most = None if self.most is None else max(self.most // self.rounds, least)
        return Pace(seconds=self.seconds / self.rounds, least=least, most=most)

    def part(self, runs: int, seconds: float) -> float:
        """How much of a turn's share is done, 0..1."""
        if self.runs is not None:
            return runs / self.runs if self.runs else 1.0
        if self.most is not None and runs >= self.most:
            return 1.0
        by_time = seconds / self.seconds if self.seconds > 0 else 1.0
        return min(by_time, runs / self.least, 1.0)


@dataclass
class Turn:
    """One turn.

    Attributes:
        seconds: of each call.
        cpu_seconds: that the process spent on processors, all threads and calls together.
        joules: what each meter counted meanwhile.
    """

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    joules: dict[str, float] = field(default_factory=dict)


@dataclass
class Turns:
    """All turns by call; where interrupted, those of the rounds that were completed.

    A first round that was interrupted stands for the calls that it reached.
    """

    by_call: dict[str, list[Turn]] = field(default_factory=dict)
    interrupted: bool = False


def take_turns(
    calls: Mapping[str, Call],
    pace: Pace,
    tick: Callable[[str, float], None] = lambda name, part: None,
    meters: Sequence[Meter] = (),
) -> Turns:
    """Times each call in each round; who begins changes from round to round.

    A call that is alone has no one to wait for or to recover from: its turns follow each other.

    Args:
        calls: what to time, by name; warmed up.
        pace: how long.
        tick: told the call and the done part of everything, 0..1, between calls and not more often
            than TICK_SECONDS, and at the end.
        meters: read before and after each turn.

    Returns:
        The turns. Ctrl-C ends them early and raises nothing.
    """
    names = list(calls)
    found = Turns({name: [] for name in names})
    whole = 0
    try:
        for number in range(pace.rounds):
            shift = number % max(len(names), 1)
            for place, name in enumerate(names[shift:] + names[:shift]):
                if len(names) > 1:
                    time.sleep(SETTLE_SECONDS)
                    calls[name]()  # brings threads and caches back
                before = (number * len(names) + place) / (pace.rounds * len(names))

                def told(part: float, name: str = name, before: float = before) -> None:
                    tick(name, before + part / (pace.rounds * len(names)))

                found.by_call[name].append(Turn())
                _take(calls[name], pace.share(number), found.by_call[name][-1], told, meters)
            whole += 1
        tick(names[-1] if names else "", 1.0)
    except KeyboardInterrupt:
        found.interrupted = True
        _keep(found, whole)
    return found


def timed(call: Call) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _take(
    call: Call, share: Pace, turn: Turn, tick: Callable[[float], None], meters: Sequence[Meter]
) -> None:
    before = [meter.read() for meter in meters]
    cpu = time.process_time()
    start = shown = time.perf_counter()
    while True:
        now = time.perf_counter()
        part = share.part(len(turn.seconds), now - start)
        if part >= 1:
            break
        if now - shown > TICK_SECONDS:
            tick(part)
            shown = now
        turn.seconds.append(timed(call))
        turn.cpu_seconds = time.process_time() - cpu
    for meter, count in zip(meters, before, strict=True):
        turn.joules[meter.name] = meter.joules(count, meter.read())


def _keep(found: Turns, rounds: int) -> None:
    for name, turns in list(found.by_call.items()):
        found.by_call[name] = [turn for turn in turns[: max(rounds, 1)] if turn.seconds]
        if not found.by_call[name]:
            del found.by_call[name]
