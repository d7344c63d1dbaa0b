"""Which engine runs how: the combinations that options ask for, without those that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.benchmark.engines import ENGINES, Engine, Setup
from lanewise.benchmark.rows import label
from lanewise.errors import InputError
from lanewise.machine import default_threads

__all__ = ["ALL_THREADS", "OURS", "Case", "combine", "thread_counts"]

OURS = "lanewise"
ALL_THREADS = 0


@dataclass(frozen=True)
class Case:
    """An engine and how it is to run."""

    engine: Engine
    setup: Setup

    @property
    def ours(self) -> bool:
        """Whether it is Lanewise."""
        return self.engine.name == OURS

    @property
    def label(self) -> str:
        """In words."""
        setup = self.setup
        return label(self.engine.name, setup.device, setup.threads, setup.precision)


def thread_counts(asked: Sequence[int] | None) -> list[int]:
    """Numbers of threads without repetition.

    Args:
        asked: numbers; ALL_THREADS, and no list, stand for the cores that this process may use.
    """
    return list(dict.fromkeys(each or default_threads() for each in asked or [ALL_THREADS]))


def combine(
    devices: Sequence[str],
    threads: Sequence[int],
    precisions: Sequence[str],
    against: Sequence[str] = (),
    options: Iterable[tuple[str, Any]] = (),
) -> tuple[list[Case], list[str]]:
    """Every engine on every device, with each number of threads on the CPU, each precision on GPUs.

    Args:
        devices: as in `Setup.device`.
        threads: numbers for the CPU.
        precisions: for GPUs; the CPU computes in float32.
        against: names of engines beside Lanewise.
        options: further options of `lanewise.load`.

    Returns:
        The cases, Lanewise's first, and a remark for each that cannot be.

    Raises:
        InputError: an engine is unknown.
    """
    if unknown := [name for name in against if name not in ENGINES]:
        raise InputError(
            f"--against: no engine is called '{unknown[0]}'; there are: {', '.join(ENGINES)}",
            "--against",
            ", ".join(ENGINES),
            unknown[0],
        )
    cases: list[Case] = []
    remarks: list[str] = []
    for name in dict.fromkeys([OURS, *against]):
        engine = ENGINES[name]
        if reason := engine.missing():
            remarks.append(f"{name} is left out: {reason}")
            continue
        for setup in _setups(devices, threads, precisions, tuple(options)):
            if reason := engine.refusal(setup):
                remarks.append(f"{name} is left out: {reason}")
            else:
                cases.append(Case(engine, setup))
    return cases, list(dict.fromkeys(remarks))


def _setups(
    devices: Sequence[str],
    threads: Sequence[int],
    precisions: Sequence[str],
    options: tuple[tuple[str, Any], ...],
) -> list[Setup]:
    setups: list[Setup] = []
    for device in devices:
        if device == "cpu":
            setups += [Setup(count, options=options) for count in threads]
        else:
            setups += [Setup(None, device, precision, options) for precision in precisions]
    return setups
