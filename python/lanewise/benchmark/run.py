"""A whole run: the cases that this machine has, one model after the other, and what was found."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lanewise.benchmark import nvml
from lanewise.benchmark.cases import Case, combine, thread_counts
from lanewise.benchmark.energy import find_meters
from lanewise.benchmark.peaks import Peaks
from lanewise.benchmark.rows import ModelReport
from lanewise.benchmark.session import Settings, Subject, measure_model
from lanewise.benchmark.turns import Pace, timed
from lanewise.benchmark.verdict import Prices
from lanewise.demo.report import data_path
from lanewise.errors import LanewiseError
from lanewise.machine import cpu_name

__all__ = ["Document", "Plan", "run"]

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        devices: as in `Setup.device`.
        batches: sizes; None for the one that a file and its inputs have.
        threads: numbers for the CPU; None for the default.
        precisions: on GPUs.
        against: engines beside Lanewise.
        options: further options of `lanewise.load`.
        pace: how long each case is measured.
        warmup: runs before, besides the first.
        tolerance: of outputs; by default that of each precision.
        prices: per hour.
        data: what the inputs are, in words.
    """

    devices: Sequence[str] = ("cpu",)
    batches: Sequence[int] | None = None
    threads: Sequence[int] | None = None
    precisions: Sequence[str] = ("float32",)
    against: Sequence[str] = ()
    options: tuple[tuple[str, Any], ...] = ()
    pace: Pace = field(default_factory=Pace)
    warmup: int = 5
    tolerance: float | None = None
    prices: Prices = field(default_factory=Prices)
    data: str = ""

    @property
    def several(self) -> bool:
        """Whether more than one thing is asked for, so that there is something to compare."""
        lists = (self.devices, self.batches, self.threads, self.precisions)
        return bool(self.against) or any(len(each or ()) > 1 for each in lists)


@dataclass
class Document:
    """What a run found.

    Attributes:
        context: machine, versions and settings, as values that `json` can write.
        models: in the order in which they were given.
        failures: (model, reason) of those that Lanewise could not run.
        remarks: what is missing of the run as a whole.
        interrupted: whether Ctrl-C ended it.
    """

    context: dict[str, Any]
    models: list[ModelReport] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def prices(self) -> Prices:
        """Of the machines."""
        return Prices(**self.context["prices"])

    @property
    def device_start_ms(self) -> float:
        """What the first model of a process waits for the GPU."""
        return float(self.context["gpu_start_ms"] or 0.0)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Document:
        """The document whose `as_dict` this was."""
        return Document(
            data["context"],
            [ModelReport.from_dict(each) for each in data["models"]],
            [(name, why) for name, why in data["failures"]],
            list(data["remarks"]),
            data["interrupted"],
        )

    def as_dict(self) -> dict[str, Any]:
        """Values that `json` can write."""
        return {
            "context": self.context,
            "models": [each.as_dict() for each in self.models],
            "failures": self.failures,
            "remarks": self.remarks,
            "interrupted": self.interrupted,
        }


def run(
    subjects: Iterable[Subject], count: int, plan: Plan, tell: Tell = lambda what, part: None
) -> Document:
    """Measures every subject by every case.

    Args:
        subjects: the models, one asked for when the one before is done.
        count: how many they are.
        plan: what is asked for.
        tell: told what is done now and the done part, 0..1.

    Returns:
        The document; where Ctrl-C ended the run, with what was measured until then.

    Raises:
        InputError: the plan is no plan.
        DeviceError: only devices are asked for that are not there.
        LanewiseError: the only model cannot be run.
        OSError: the only model cannot be read.
    """
    threads = thread_counts(plan.threads)
    cases, remarks = combine(plan.devices, threads, plan.precisions, plan.against, plan.options)
    gpu: nvml.Gpu | str | None = None
    gpu_start_ms: float | None = None
    if any(case.setup.on_gpu for case in cases):
        gpu = nvml.find()
        cases, gpu_start_ms, reason = _open_gpu(cases)
        remarks += [reason] if reason else []
    several = plan.several or count > 1
    present = sorted({case.setup.device for case in cases})
    meters, silent = find_meters(present, gpu=gpu) if several else ([], [])
    peaks = Peaks(gpu or "not asked for") if several else None
    settings = Settings(plan.pace, plan.warmup, plan.tolerance, peaks, meters)
    document = Document(_context(plan, cases, gpu, gpu_start_ms), remarks=remarks + silent)
    for place, subject in enumerate(subjects):

        def told(what: str, part: float, place: int = place, name: str = subject.name) -> None:
            tell(f"{name}: {what}" if count > 1 else what, (place + part) / count)

        try:
            report = measure_model(subject, cases, plan.batches, settings, told)
        except (LanewiseError, OSError) as error:
            if count == 1:
                raise
            document.failures.append((subject.name, str(error)))
            continue
        document.models.append(report)
        document.interrupted = report.interrupted
        if report.interrupted:
            break
    document.context["cpu_peak_gflops"] = peaks.as_dict() if peaks else {}
    return document


def _open_gpu(cases: list[Case]) -> tuple[list[Case], float | None, str]:
    """Runs a tiny model on the GPU, which starts it.

    Returns:
        The cases that remain, milliseconds of the start, and why the GPU is left out.

    Raises:
        LanewiseError: the GPU is not there, and without it no case of Lanewise remains.
    """
    first = next((case for case in cases if case.ours and case.setup.on_gpu), None)
    rest = [case for case in cases if not case.setup.on_gpu]
    if first is None:
        return cases, None, ""
    tiny = Path(data_path("digits.onnx"))
    feed = {"image": np.zeros((1, 1, 8, 8), np.float32)}
    try:
        seconds = timed(lambda: first.engine.load(tiny, feed, first.setup).run(feed))
    except LanewiseError as error:
        if not any(case.ours for case in rest):
            raise
        return rest, None, f"{first.setup.device} is left out: {error}"
    return cases, 1e3 * seconds, ""


def _context(
    plan: Plan, cases: Sequence[Case], gpu: nvml.Gpu | str | None, gpu_start_ms: float | None
) -> dict[str, Any]:
    """What a reader needs to judge the figures: machine, versions and settings."""
    if gpu_start_ms is None:
        device = None
    elif isinstance(gpu, nvml.Gpu):
        device = f"{gpu.name}, driver {gpu.driver}"
    else:
        device = f"a GPU without a name ({gpu or 'NVML was not asked'})"
    engines = {case.engine.name: case.engine for case in cases}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cpu": cpu_name(),
        "gpu": device,
        "gpu_start_ms": gpu_start_ms,
        "devices": list(plan.devices),
        "data": plan.data,
        "rounds": plan.pace.rounds,
        "runs": plan.pace.runs,
        "seconds": plan.pace.seconds if plan.pace.runs is None else None,
        "tolerance": plan.tolerance,
        "prices": {"cpu": plan.prices.cpu, "gpu": plan.prices.gpu},
        "options": dict(plan.options),
        "engines": {
            name: {"version": engine.version(), "settings": engine.settings}
            for name, engine in engines.items()
        },
    }
