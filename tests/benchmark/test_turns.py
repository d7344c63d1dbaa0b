"""How long and in what order calls are timed, on a clock that was made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from lanewise.benchmark.turns import Pace, take_turns


@dataclass
class Clock:
    """Advances only where a call or a sleep says so; logs what was called."""

    now: float = 0.0
    log: str = ""
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.log += name
            self.now += seconds

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("lanewise.benchmark.turns.time.perf_counter", lambda: made.now)
    monkeypatch.setattr("lanewise.benchmark.turns.time.sleep", made.sleep)
    return made


def test_a_number_of_runs_is_spread_over_the_rounds(clock: Clock) -> None:
    turns = take_turns({"a": clock.call("a", 0.01)}, Pace(3, runs=7))
    assert [len(turn.seconds) for turn in turns.by_call["a"]] == [3, 2, 2]
    assert turns.by_call["a"][0].seconds == pytest.approx([0.01] * 3)
    assert clock.log == "a" * 7 and not clock.slept


@pytest.mark.parametrize(
    ("pace", "runs"),
    [
        (Pace(1, seconds=0.05, least=10), 10),
        (Pace(1, seconds=0.2, least=10), 20),
        (Pace(2, seconds=0.2, least=3), 20),
        (Pace(4, seconds=0.0, least=10), 12),
        (Pace(2, seconds=1.0, least=2, most=6), 6),
        (Pace(2, seconds=1.0, least=8, most=6), 8),
    ],
)
def test_a_time_has_least_and_most_runs(pace: Pace, runs: int, clock: Clock) -> None:
    take_turns({"a": clock.call("a", 0.01)}, pace)
    assert len(clock.log) == pytest.approx(runs, abs=1)


def test_turns_begin_with_another_call_in_each_round_and_wake_it(clock: Clock) -> None:
    calls = {name: clock.call(name, 0.01) for name in "abc"}
    turns = take_turns(calls, Pace(3, runs=3))
    assert clock.log == "aabbcc" + "bbccaa" + "ccaabb"
    assert all(len(each) == 3 for each in turns.by_call.values())
    assert len(clock.slept) == 9
    assert not turns.interrupted


def test_progress_rises_to_one(clock: Clock) -> None:
    told: list[tuple[str, float]] = []
    calls = {"a": clock.call("a", 0.06), "b": clock.call("b", 0.06)}
    take_turns(calls, Pace(2, runs=8), lambda name, part: told.append((name, part)))
    parts = [part for _, part in told]
    assert parts == sorted(parts) and parts[-1] == 1.0 and len(parts) > 4
    assert {name for name, part in told if part < 0.25} == {"a"}


def interrupt_after(clock: Clock, count: int) -> Callable[[], None]:
    inner = clock.call("b", 0.01)

    def call() -> None:
        if clock.log.count("b") == count:
            raise KeyboardInterrupt
        inner()

    return call


def test_ctrl_c_keeps_whole_rounds(clock: Clock) -> None:
    calls = {"a": clock.call("a", 0.01), "b": interrupt_after(clock, 7)}
    turns = take_turns(calls, Pace(4, runs=8))
    assert turns.interrupted
    # Three calls of b per turn: two rounds are whole, the third was cut.
    assert {name: len(each) for name, each in turns.by_call.items()} == {"a": 2, "b": 2}


def test_ctrl_c_in_the_first_round_keeps_what_there_is(clock: Clock) -> None:
    calls = {"a": clock.call("a", 0.01), "b": interrupt_after(clock, 0)}
    turns = take_turns(calls, Pace(2, runs=4))
    assert turns.interrupted and list(turns.by_call) == ["a"]
    alone = take_turns({"b": interrupt_after(clock, 3)}, Pace(1, runs=9))
    assert [len(turn.seconds) for turn in alone.by_call["b"]] == [3]


@dataclass
class Counter:
    """A meter that counts a watt."""

    clock: Clock
    name: str = "made up"

    def read(self) -> int:
        return round(1e6 * self.clock.now)

    def joules(self, before: int, after: int) -> float:
        return (after - before) / 1e6


def test_meters_are_read_around_what_is_timed(clock: Clock) -> None:
    calls = {"a": clock.call("a", 0.5), "b": clock.call("b", 0.25)}
    turns = take_turns(calls, Pace(2, runs=6), meters=[Counter(clock)])
    assert [turn.joules for turn in turns.by_call["a"]] == [{"made up": 1.5}] * 2
    assert [turn.joules for turn in turns.by_call["b"]] == [{"made up": 0.75}] * 2
