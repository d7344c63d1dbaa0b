"""Measuring one model: load every case, compare the outputs, take the times in turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lanewise.benchmark.cases import Case
from lanewise.benchmark.energy import Meter
from lanewise.benchmark.engines import Array, Feed, Loaded, difference
from lanewise.benchmark.figures import summary
from lanewise.benchmark.peaks import Peaks
from lanewise.benchmark.rows import ModelReport, Row
from lanewise.benchmark.turns import Pace, Turn, take_turns, timed
from lanewise.feeds import batch_of, has_open_batch, shape_text
from lanewise.model import Model

__all__ = ["TOLERANCES", "Settings", "Subject", "measure_model"]

# How far outputs may be apart, relative to the largest value of each. Products of tf32 and float16
# are rounded to 11 bits, of bfloat16 to 8; sums and later layers spread that a few times wider.
TOLERANCES = {"float32": 1e-3, "tf32": 2e-2, "float16": 2e-2, "bfloat16": 1e-1}

REFERENCE = "onnxruntime"
RESIDENT = " (data stays on the device)"

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        name: for the report.
        path: the file.
        feed: inputs for a batch; None is the batch that the file and its inputs have.
        takes_batches: whether `feed` gives any batch that is asked for; None where the first
            dimension of the inputs tells.
    """

    name: str
    path: Path
    feed: Callable[[Model, int | None], Feed]
    takes_batches: bool | None = None


@dataclass(frozen=True)
class Settings:
    """How it is measured.

    Attributes:
        pace: how long.
        warmup: runs before, besides the first.
        tolerance: for every precision; by default TOLERANCES.
        peaks: where the devices' peaks are kept; None to leave them out.
        meters: of energy.
    """

    pace: Pace
    warmup: int = 5
    tolerance: float | None = None
    peaks: Peaks | None = None
    meters: Sequence[Meter] = ()

    def bound(self, precision: str) -> float:
        """The difference that still agrees."""
        return TOLERANCES[precision] if self.tolerance is None else self.tolerance


@dataclass
class _Ready:
    """A case that runs, with what its start took."""

    loaded: Loaded
    load_ms: float
    first_run_ms: float
    outputs: dict[str, Array]
    error: float | None = None


@dataclass
class _Batch:
    """One batch under measurement."""

    number: int | None
    feed: Feed = field(default_factory=dict)
    size: int = 1
    ready: dict[Case, _Ready] = field(default_factory=dict)


def measure_model(
    subject: Subject,
    cases: Sequence[Case],
    batches: Sequence[int] | None,
    settings: Settings,
    tell: Tell = lambda what, part: None,
) -> ModelReport:
    """Measures a model at every batch by every case.

    The reference of the comparison is ONNX Runtime on the CPU where it takes part, else the first
    case; a case that fails or disagrees is left out, with the reason.

    Args:
        subject: the model.
        cases: who runs it, Lanewise's first.
        batches: sizes; None for the one that the file and its inputs have.
        settings: how.
        tell: told what is done now and the done part, 0..1.

    Returns:
        The report; where Ctrl-C ended it, with what was measured until then.

    Raises:
        LanewiseError: no case of Lanewise can load the model.
        OSError: the file cannot be read.
    """
    report = ModelReport(subject.name)
    try:
        _measure(report, subject, cases, batches, settings, tell)
    except KeyboardInterrupt:
        report.interrupted = True
    return report


def _measure(
    report: ModelReport,
    subject: Subject,
    cases: Sequence[Case],
    batches: Sequence[int] | None,
    settings: Settings,
    tell: Tell,
) -> None:
    tell("loading", 0.0)
    first = _first(report, subject, cases)
    model: Model = first[1].model
    numbers: Sequence[int | None] = batches or [None]
    takes = has_open_batch(model.inputs) if subject.takes_batches is None else subject.takes_batches
    if batches is not None and not takes:
        shapes = ", ".join(
            f"{info.name} {shape_text(info.shape)}" for info in model.inputs if not info.optional
        )
        report.notes.append(f"the file fixes its batch ({shapes}): measured at this one alone")
        numbers = [None]
    for place, number in enumerate(numbers):
        batch = _Batch(number, subject.feed(model, number))
        batch.size = batch_of(model.inputs, batch.feed) if number is None else number

        def told(what: str, part: float, place: int = place) -> None:
            tell(what, (place + part) / len(numbers))

        told(f"loading, batch {batch.size}", 0.0)
        _start(report, subject, cases, batch, first if place == 0 else None)
        _compare(report, batch, settings)
        _time(report, batch, model, settings, told)
        if report.interrupted:
            return


def _first(
    report: ModelReport, subject: Subject, cases: Sequence[Case]
) -> tuple[Case, Loaded, float]:
    """The first case of Lanewise that loads: it says what the inputs are."""
    failure: Exception | None = None
    for case in cases:
        if not case.ours:
            continue
        try:
            return case, *_load(subject, case, {})
        except Exception as error:
            failure = failure or error
            report.left_out.append((case.label, 0, f"cannot load: {_first_line(error)}"))
    raise failure or ValueError("there is no case of Lanewise")


def _load(subject: Subject, case: Case, feed: Feed) -> tuple[Loaded, float]:
    """The model, and milliseconds until it was ready."""
    found: list[Loaded] = []
    seconds = timed(lambda: found.append(case.engine.load(subject.path, feed, case.setup)))
    return found[0], 1e3 * seconds


def _start(
    report: ModelReport,
    subject: Subject,
    cases: Sequence[Case],
    batch: _Batch,
    first: tuple[Case, Loaded, float] | None,
) -> None:
    """Loads and runs each case once.

    Raises:
        Exception: what Lanewise raised, where none of its cases runs and nothing was measured yet.
    """
    failed = {label for label, size, _ in report.left_out if size == 0}
    failure: Exception | None = None
    for case in cases:
        if case.label in failed:
            continue
        try:
            if first is not None and case == first[0]:
                loaded, load_ms = first[1:]
            else:
                loaded, load_ms = _load(subject, case, batch.feed)
            outputs: list[Mapping[str, Any]] = []
            seconds = timed(partial(_run_into, outputs, loaded, batch.feed))
        except Exception as error:
            failure = failure or (error if case.ours else None)
            report.left_out.append((case.label, batch.size, f"cannot run: {_first_line(error)}"))
            continue
        # Outputs may be views of memory that the engine uses again.
        copies = {name: array.copy() for name, array in _arrays(outputs[0])}
        batch.ready[case] = _Ready(loaded, load_ms, 1e3 * seconds, copies)
    if failure is not None and not report.rows and not any(case.ours for case in batch.ready):
        raise failure


def _run_into(outputs: list[Mapping[str, Any]], loaded: Loaded, feed: Feed) -> None:
    outputs.append(loaded.run(feed))


def _arrays(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
    """The arrays of outputs, those inside lists and maps under names of their own."""
    for name, value in outputs.items():
        if isinstance(value, Mapping):
            yield from _arrays({f"{name}[{key!r}]": each for key, each in value.items()})
        elif isinstance(value, list):
            yield from _arrays({f"{name}[{place}]": each for place, each in enumerate(value)})
        elif value is not None:
            yield name, np.asarray(value)


def _compare(report: ModelReport, batch: _Batch, settings: Settings) -> None:
    """Compares all outputs with the reference's, and drops the cases that disagree."""
    if len(batch.ready) < 2:
        return
    reference = next(
        (c for c in batch.ready if c.engine.name == REFERENCE and not c.setup.on_gpu),
        next(iter(batch.ready)),
    )
    expected = batch.ready[reference].outputs
    for case, ready in list(batch.ready.items()):
        ready.error = difference(ready.outputs, expected)
        bound = settings.bound(case.setup.precision)
        if ready.error > bound:
            why = f"disagrees with {reference.label}: {ready.error:.2g}, where {bound:g} is allowed"
            report.left_out.append((case.label, batch.size, why))
            del batch.ready[case]
    for ready in batch.ready.values():
        ready.outputs = {}


def _time(report: ModelReport, batch: _Batch, model: Model, settings: Settings, tell: Tell) -> None:
    """Takes the times of all cases in turns, and reports them."""
    calls: dict[str, Callable[[], object]] = {}
    for case, ready in batch.ready.items():
        calls[case.label] = partial(ready.loaded.run, batch.feed)
        if ready.loaded.resident is not None:
            calls[case.label + RESIDENT] = ready.loaded.resident(batch.feed)
    for call in calls.values():
        for _ in range(settings.warmup):
            call()
    _measure_peaks(batch, settings.peaks)
    turns = take_turns(
        calls,
        settings.pace,
        lambda label, part: tell(f"batch {batch.size}: {label}", part),
        settings.meters,
    )
    report.interrupted = report.interrupted or turns.interrupted
    if not turns.interrupted:
        _measure_peaks(batch, settings.peaks)
    shapes = {name: list(array.shape) for name, array in batch.feed.items()}
    flops = model.describe(shapes).flops
    _note_steps_on_the_cpu(report, batch, shapes)
    for case, ready in batch.ready.items():
        if case.label in turns.by_call:
            resident = turns.by_call.get(case.label + RESIDENT, [])
            taken = turns.by_call[case.label]
            report.rows.append(_row(case, ready, batch, taken, resident, shapes, flops, settings))


def _note_steps_on_the_cpu(
    report: ModelReport, batch: _Batch, shapes: dict[str, list[int]]
) -> None:
    """Says how much of a model a GPU left to the CPU."""
    for case, ready in batch.ready.items():
        if case.ours and case.setup.on_gpu:
            layers = ready.loaded.model.describe(shapes).layers
            left = sum(layer.device == "cpu" for layer in layers)
            note = (
                f"{case.label}: {left} of {len(layers)} steps run on the CPU, which has them alone"
            )
            if left and note not in report.notes:
                report.notes.append(note)


def _measure_peaks(batch: _Batch, peaks: Peaks | None) -> None:
    if peaks is not None:
        ours = [ready.loaded.model for case, ready in batch.ready.items() if _on_our_cpu(case)]
        for isa, threads in dict.fromkeys((model.isa, model.threads) for model in ours):
            peaks.measure(isa, threads)


def _on_our_cpu(case: Case) -> bool:
    return case.ours and not case.setup.on_gpu


def _row(
    case: Case,
    ready: _Ready,
    batch: _Batch,
    turns: Sequence[Turn],
    resident: Sequence[Turn],
    shapes: dict[str, list[int]],
    flops: float,
    settings: Settings,
) -> Row:
    times = [seconds for turn in turns for seconds in turn.seconds]
    ms = summary(times)
    model = ready.loaded.model
    cpu = _on_our_cpu(case)
    threads = model.threads if cpu else case.setup.threads
    gflops = flops / ms["p50"] / 1e6
    peak = None
    if settings.peaks is not None:
        peak = settings.peaks.of(case.setup.precision, case.setup.on_gpu, threads)
    runs_per_s = len(times) / math.fsum(times)
    return Row(
        engine=case.engine.name,
        device=case.setup.device,
        threads=threads,
        precision=case.setup.precision,
        isa=model.isa if cpu else None,
        batch=batch.size,
        inputs=shapes,
        load_ms=ready.load_ms,
        first_run_ms=ready.first_run_ms,
        warmup_runs=settings.warmup + 1,
        runs=len(times),
        seconds=math.fsum(times),
        ms=ms,
        cpu_ms=1e3 * math.fsum(turn.cpu_seconds for turn in turns) / len(times),
        runs_per_s=runs_per_s,
        samples_per_s=runs_per_s * batch.size,
        flops=flops,
        gflops_per_s=gflops,
        percent_of_peak=100 * gflops / peak if peak else None,
        resident_ms=_without_copies(ready.loaded, batch.feed, ms["p50"], resident),
        error=ready.error,
        joules_per_sample=_joules(turns, batch.size),
    )


def _without_copies(
    loaded: Loaded, feed: Feed, p50: float, resident: Sequence[Turn]
) -> float | None:
    """The median of runs on data that stays on the GPU, or of all less their copies."""
    stayed = [seconds for turn in resident for seconds in turn.seconds]
    if stayed:
        return summary(stayed)["p50"]
    if loaded.copies_ms is None:
        return None
    return max(p50 - loaded.copies_ms(feed), 0.0)


def _joules(turns: Sequence[Turn], batch: int) -> dict[str, float]:
    """Energy per sample by meter, of the turns that the meters saw whole."""
    whole = [turn for turn in turns if turn.joules]
    samples = batch * sum(len(turn.seconds) for turn in whole)
    return {
        name: math.fsum(turn.joules[name] for turn in whole) / samples
        for name in (whole[0].joules if whole else ())
    }


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
