"""Latency and throughput against the batch, a line for each case, the crossing point marked."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lanewise.benchmark.rows import ALONE, ModelReport, Row
from lanewise.benchmark.verdict import Prices, judge

__all__ = ["draw", "draw_many", "missing"]

KINDS = {"latency": "ms per run (median)", "throughput": "samples per second"}
COLUMNS = 4
LEAST_SPAN = 10.0


def missing() -> str | None:
    """Why nothing can be drawn, or None."""
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        return f"no plots: matplotlib is not usable ({error}): pip install 'lanewise[plot]'"
    return None


def draw(report: ModelReport, file: Path) -> None:
    """Draws a model's latency beside its throughput (png, svg, pdf).

    Raises:
        OSError: the file cannot be written.
    """
    figure = _figure(11, 4.5)
    for place, kind in enumerate(KINDS):
        _fill(figure.add_subplot(1, 2, place + 1), report, kind)
    figure.axes[0].legend(fontsize="small")
    figure.suptitle(report.model)
    figure.savefig(file, dpi=120)


def draw_many(reports: Sequence[ModelReport], kind: str, file: Path) -> None:
    """Draws one figure with a small plot for each model.

    Args:
        reports: the models.
        kind: one of KINDS.
        file: png, svg or pdf.

    Raises:
        OSError: the file cannot be written.
    """
    rows = -(-len(reports) // COLUMNS)
    figure = _figure(3.2 * COLUMNS, 2.6 * rows + 0.6)
    lines: dict[str, Any] = {}
    for place, report in enumerate(reports):
        axes = figure.add_subplot(rows, COLUMNS, place + 1)
        _fill(axes, report, kind)
        axes.set_title(report.model, fontsize="medium")
        if place % COLUMNS:
            axes.set_ylabel("")
        handles, labels = axes.get_legend_handles_labels()
        lines.update(zip(labels, handles, strict=True))
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=COLUMNS)
    figure.savefig(file, dpi=75)


def _figure(width: float, height: float) -> Any:
    module = importlib.import_module("matplotlib.figure")
    return module.Figure(figsize=(width, height), layout="constrained")


def _fill(axes: Any, report: ModelReport, kind: str) -> None:
    """One plot: the lines, and where those of CPU and GPU cross."""
    for label in dict.fromkeys(row.label for row in report.rows):
        rows = [row for row in report.rows if row.label == label]
        style = "--" if rows[0].on_gpu else "-"
        batches = [row.batch for row in rows]
        (line,) = axes.plot(
            batches, [_value(row, kind) for row in rows], style, marker="o", label=label
        )
        if any(row.had_cpu is not None and row.had_cpu < ALONE for row in rows):
            values = [_by_cpu_time(row, kind) for row in rows]
            name = f"{label}, CPU time alone"
            axes.plot(batches, values, ":", marker=".", color=line.get_color(), label=name)
    for verdict in judge(report.rows, Prices()):
        found = verdict.crossing
        if found is None:
            continue
        where = found.batch if found.meets is None else found.meets
        axes.axvline(where, color="grey", linewidth=0.8)
        note = f"{verdict.precision}: GPU faster from {found.batch}"
        axes.annotate(note, (where, 0.02), xycoords=("data", "axes fraction"), fontsize="x-small")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < LEAST_SPAN * low:  # else differences of a few percent look large
        middle = (low * high) ** 0.5
        axes.set_ylim(middle / LEAST_SPAN**0.5, middle * LEAST_SPAN**0.5)
    ticks = sorted({row.batch for row in report.rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    ticker = importlib.import_module("matplotlib.ticker")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.set_xlabel("batch")
    axes.set_ylabel(KINDS[kind])


def _value(row: Row, kind: str) -> float:
    return row.ms["p50"] if kind == "latency" else row.samples_per_s


def _by_cpu_time(row: Row, kind: str) -> float:
    return row.cpu_ms if kind == "latency" else 1e3 * row.batch / row.cpu_ms
