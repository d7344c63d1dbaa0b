"""What the times mean: medians, ratios, the geometric mean; as a table, JSON, CSV and a plot.

A ratio is peer / Lanewise in the same round, and of all rounds the median: above 1, Lanewise is
faster.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lanewise.benchmark.figures import geometric_mean, median, spread

from .measure import Result

OURS = "lanewise"


def ratio(result: Result, peer: str, ours: str = OURS) -> float | None:
    """How many times longer `peer` takes than `ours`: the median over the rounds, or None."""
    if peer not in result.times or ours not in result.times:
        return None
    pairs = zip(result.times[peer], result.times[ours], strict=True)
    return median(theirs / own for theirs, own in pairs)


def best_ratio(result: Result, ours: str = OURS) -> tuple[str, float] | None:
    """The fastest peer and its ratio; None where there is no peer or `ours` was not timed."""
    ratios = {peer: ratio(result, peer, ours) for peer in result.times if peer != ours}
    known = {peer: value for peer, value in ratios.items() if value is not None}
    if not known:
        return None
    best = min(known, key=lambda peer: known[peer])
    return best, known[best]


def mean_ratios(results: Sequence[Result], peers: Sequence[str]) -> dict[str, float | None]:
    """Geometric mean over all results of each peer's ratio, and of the best peer's under "best"."""
    out: dict[str, float | None] = {}
    for peer in peers:
        if peer != OURS:
            values = (ratio(result, peer) for result in results)
            out[peer] = geometric_mean(value for value in values if value is not None)
    best = (best_ratio(result) for result in results)
    out["best"] = geometric_mean(pair[1] for pair in best if pair is not None)
    return out


def table(results: Sequence[Result], peers: Sequence[str]) -> Table:
    """Milliseconds per run (median of the rounds, and their spread), and ratios to Lanewise."""
    out = Table(box=None, pad_edge=False)
    out.add_column("network", no_wrap=True)
    for peer in peers:
        out.add_column(f"{peer} ms", justify="right")
    others = [peer for peer in peers if peer != OURS]
    compared = OURS in peers and bool(others)
    for peer in others if compared else []:
        out.add_column(f"{peer} / {OURS}", justify="right")
    if compared:
        out.add_column("best peer", justify="right")
    for result in results:
        cells = [_milliseconds(result, peer) for peer in peers]
        if compared:
            cells += [_figure(ratio(result, peer)) for peer in others]
            best = best_ratio(result)
            cells.append(f"{best[1]:.2f} ({best[0]})" if best else "-")
        out.add_row(result.name, *cells)
    if compared and len(results) > 1:
        means = mean_ratios(results, peers)
        figures = [_figure(means[key]) for key in (*others, "best")]
        out.add_section()
        out.add_row("geometric mean", *[""] * len(peers), *figures, style="bold")
    return out


def remarks(results: Sequence[Result]) -> list[str]:
    """A line for each engine that was left out of a subject, with the reason."""
    return [
        f"{result.name}: {peer} left out, {reason}"
        for result in results
        for peer, reason in result.left_out.items()
    ]


def to_json(results: Sequence[Result], peers: Sequence[str], context: dict[str, Any]) -> str:
    """Everything, with the times of every round in seconds; infinite errors become null."""
    rows = [
        {
            "name": result.name,
            "seconds": result.times,
            "median_seconds": {peer: median(times) for peer, times in result.times.items()},
            "spread": {peer: spread(times) for peer, times in result.times.items()},
            "ratio": {peer: ratio(result, peer) for peer in result.times if peer != OURS},
            "best": best_ratio(result),
            "error": {p: e if math.isfinite(e) else None for p, e in result.errors.items()},
            "left_out": result.left_out,
        }
        for result in results
    ]
    document = {"context": context, "results": rows, "geometric_mean": mean_ratios(results, peers)}
    return json.dumps(document, indent=1)


def to_csv(results: Sequence[Result]) -> str:
    """One line per subject and engine: median, spread, ratio and error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["network", "engine", "median_ms", "spread", "ratio", "error", "left_out"])
    for result in results:
        for peer in [*result.times, *result.left_out]:
            times = result.times.get(peer)
            against = ratio(result, peer)
            row = [
                f"{1e3 * median(times):.4f}" if times else "",
                f"{spread(times):.4f}" if times else "",
                f"{against:.4f}" if against is not None else "",
                f"{result.errors[peer]:.3g}" if peer in result.errors else "",
            ]
            writer.writerow([result.name, peer, *row, result.left_out.get(peer, "")])
    return text.getvalue()


def plot(results: Sequence[Result], peers: Sequence[str], file: Path) -> None:
    """Draws the ratio of every peer as bars, on a logarithmic axis with Lanewise at 1.

    Raises:
        ValueError: There is no ratio to draw.
    """
    from matplotlib.figure import Figure  # only needed here, and slow to import

    others = [peer for peer in peers if peer != OURS]
    shown = [result for result in results if best_ratio(result) is not None]
    if not shown:
        raise ValueError(f"nothing to plot: no network was timed on {OURS} and on a peer")
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(others)
    for number, peer in enumerate(others):
        ratios = [ratio(result, peer) for result in shown]
        bars = [(i, value) for i, value in enumerate(ratios) if value is not None]
        places = [i + (number + 0.5) * height - 0.4 for i, _ in bars]
        # From 1, so that a bar to the left means that the peer was faster.
        axes.barh(places, [v - 1 for _, v in bars], height, left=1.0, label=peer)
    axes.set_xscale("log", base=2)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [result.name for result in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"time / time of {OURS} (right of 1: {OURS} is faster)")
    axes.legend()
    figure.savefig(file, dpi=150)


def _milliseconds(result: Result, peer: str) -> str:
    times = result.times.get(peer)
    return f"{1e3 * median(times):.2f} ±{100 * spread(times):.0f}%" if times else "-"


def _figure(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else "-"
