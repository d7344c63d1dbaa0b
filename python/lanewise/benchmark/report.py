"""A run's figures as a table, as sentences, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from lanewise.benchmark.figures import median
from lanewise.benchmark.rows import ALONE, ModelReport, Row, count_of
from lanewise.benchmark.run import Document
from lanewise.benchmark.verdict import best, cost_of, judge, words

__all__ = [
    "as_values",
    "had_cpu",
    "heading",
    "remarks",
    "table",
    "to_csv",
    "verdict_lines",
]

LONG_SECONDS = 0.1

# Heading, cell; shown where some row has one.
_OPTIONAL: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("p50 without copies", lambda row: _number(row.resident_ms, ".3f")),
    ("% of peak", lambda row: _number(row.percent_of_peak, ".1f")),
    ("error", lambda row: _number(row.error, ".1e")),
)


def heading(document: Document) -> list[str]:
    """Machine, versions and settings."""
    about = document.context
    length = (
        count_of(about["runs"], "run") if about["runs"] is not None else f"{about['seconds']:g} s"
    )
    lines = [f"{about['cpu']}, {about['gpu'] or 'no GPU'}, {about['date']}; {about['data']}"]
    lines.append(
        f"{length} of each in {count_of(about['rounds'], 'round')}, taking turns; "
        "ms of single runs, on a GPU with the copies there and back"
    )
    if about["gpu_start_ms"] is not None:
        lines.append(
            f"Start of the GPU: {about['gpu_start_ms']:.0f} ms until a tiny model had run, "
            "once per process"
        )
    if any(row.joules_per_sample for each in document.models for row in each.rows):
        lines.append("Energy: of whole packages and boards, idle power and other programs included")
    for name, engine in about["engines"].items():
        lines.append(f"{name} {engine['version']}: {engine['settings']}")
    return [*lines, *sharing(document)]


def table(report: ModelReport) -> Table:
    """A line for each batch and case."""
    out = Table(box=None, pad_edge=False, header_style="bold")
    shown = [column for column in _OPTIONAL if any(column[1](row) for row in report.rows)]
    meters = list(dict.fromkeys(name for row in report.rows for name in row.joules_per_sample))
    out.add_column("batch", justify="right")
    out.add_column("engine", no_wrap=True)
    for name in ("p50", "p90", "p99", "samples/s", "start ms"):
        out.add_column(name, justify="right", no_wrap=True)
    for name, _ in shown:
        out.add_column(name, justify="right")
    for name in meters:
        out.add_column(f"J/sample {name}", justify="right")
    for row in report.rows:
        out.add_row(
            str(row.batch),
            Text(row.label),
            *(f"{row.ms[name]:.3f}" for name in ("p50", "p90", "p99")),
            f"{row.samples_per_s:.1f}",
            f"{row.start_ms:.1f}",
            *(cell(row) for _, cell in shown),
            *(_number(row.joules_per_sample.get(name), ".3g") for name in meters),
        )
    return out


def verdict_lines(report: ModelReport, document: Document) -> list[str]:
    """When the GPU pays, or what the CPU alone does."""
    lines = [
        line
        for verdict in judge(report.rows, document.prices, document.device_start_ms)
        for line in words(verdict, document.prices)
    ]
    cpu = [row for row in report.rows if not row.on_gpu and row.engine == "lanewise"]
    if lines or not cpu:
        return lines
    fast = best(cpu)
    lines = [
        f"no GPU was measured; best throughput on the CPU: {fast.samples_per_s:.1f} samples/s "
        f"(batch {fast.batch}, {count_of(fast.threads or 1, 'thread')})"
    ]
    if (cost := cost_of(fast, document.prices)) is not None:
        lines.append(f"a million samples cost {cost:.3g} at {document.prices.cpu:g} an hour")
    return lines


def remarks(document: Document) -> list[str]:
    """What was left out, and why."""
    lines = list(document.remarks)
    lines += [f"{name} could not be run: {why}" for name, why in document.failures]
    for report in document.models:
        for case, batch, why in report.left_out:
            at = f" at batch {batch}" if batch else ""
            lines.append(f"{report.model}: {case}{at} left out, {why}")
    if document.interrupted:
        lines.append("interrupted: what follows was measured until then")
    return lines


def sharing(document: Document) -> list[str]:
    """A line where other programs had the CPU as well, so that times are too long."""
    part = had_cpu(document)
    if part >= ALONE:
        return []
    return [
        f"The CPU was shared with other programs: runs on one thread had it for {part:.0%} of "
        "their time (median), and took that much longer"
    ]


def had_cpu(document: Document) -> float:
    """The part of their time that runs on one thread were on a processor: the median; 1 of none.

    Runs that were soon over say nothing: a single interruption is longer than they are.
    """
    rows = [row for each in document.models for row in each.rows if row.seconds >= LONG_SECONDS]
    parts = [row.had_cpu for row in rows if row.had_cpu is not None]
    return median(parts) if parts else 1.0


def as_values(document: Document) -> dict[str, Any]:
    """Everything, with the verdicts of each model."""
    values = document.as_dict()
    for each, report in zip(values["models"], document.models, strict=True):
        found = judge(report.rows, document.prices, document.device_start_ms)
        each["verdicts"] = [verdict.as_dict() for verdict in found]
    return values


def to_csv(models: Sequence[ModelReport]) -> str:
    """A line for each row, with a heading; shapes and energies as JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [name for name in Row.__dataclass_fields__ if name not in ("ms", "inputs")]
    percentiles = ("min", "mean", "p50", "p90", "p99", "max")
    writer.writerow(["model", *names, *(f"{name}_ms" for name in percentiles)])
    for report in models:
        for row in report.rows:
            values = asdict(row)
            energies = values["joules_per_sample"]
            values["joules_per_sample"] = json.dumps(energies) if energies else None
            cells = [values[name] for name in names]
            writer.writerow([report.model, *cells, *(row.ms[name] for name in percentiles)])
    return text.getvalue()


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
