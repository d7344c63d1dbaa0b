"""Time a model: percentiles of single runs, and throughput."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import lanewise as lw
from lanewise.cli import feeding, options, output
from lanewise.dtypes import Array
from lanewise.machine import cpu_name

HELP = "time a model: percentiles and throughput"

LEAST_RUNS = 10
TICK_SECONDS = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options.add_model(parser)
    options.add_engine(parser)
    options.add_shapes(parser)
    feeding.add_options(parser)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--runs", type=options.positive(int), metavar="N", help="how many runs")
    length.add_argument(
        "--duration",
        type=options.positive(float),
        metavar="S",
        default=2.0,
        help=f"seconds to run, {LEAST_RUNS} runs at least (default: 2)",
    )
    parser.add_argument(
        "--warmup",
        type=int,
        metavar="N",
        default=5,
        help="runs before that are not counted; the first is shown on its own (default: 5)",
    )


def command(args: argparse.Namespace) -> int:
    """Measures and prints."""
    start = time.perf_counter()
    model = options.load(args)
    load_ms = (time.perf_counter() - start) * 1e3
    feed = feeding.feed(args, model)
    with _progress(args.json) as progress:
        task = progress.add_task("warm-up", total=1.0)

        def tick(part: float) -> None:
            progress.update(task, description="timing", completed=part)
            progress.refresh()

        times = measure(lambda: model.run(feed), args.runs, args.duration, args.warmup, tick)
    report = _report(args, model, feed, times)
    report["load_ms"] = load_ms
    if args.json:
        output.print_json(report)
    else:
        _show(report)
    return 0


@dataclass(frozen=True)
class Times:
    """Seconds of single runs.

    Attributes:
        first: of the very first, which makes the plan where the file left dimensions open.
        runs: of those that count.
    """

    first: float
    runs: list[float]


def measure(
    call: Callable[[], object],
    runs: int | None,
    duration: float,
    warmup: int,
    tick: Callable[[float], None],
) -> Times:
    """Times single calls, one after the other.

    Args:
        call: what to time.
        runs: how many times; None for as long as `duration`.
        duration: seconds; LEAST_RUNS calls at least.
        warmup: calls before that do not count, besides the first.
        tick: told the done part, 0..1, between calls and not more often than TICK_SECONDS.

    Returns:
        The times.
    """
    first = _timed(call)
    for _ in range(warmup):
        call()
    times: list[float] = []
    start = shown = time.perf_counter()
    while True:
        now = time.perf_counter()
        part = len(times) / runs if runs else min((now - start) / duration, len(times) / LEAST_RUNS)
        if part >= 1:
            tick(1.0)
            return Times(first, times)
        if now - shown > TICK_SECONDS:
            tick(part)
            shown = now
        times.append(_timed(call))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _progress(json: bool) -> Progress:
    """A bar on the terminal. It has no thread of its own, which would disturb what is timed."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        disable=json or not sys.stderr.isatty(),
    )


def _report(
    args: argparse.Namespace, model: lw.Model, feed: Mapping[str, Array], times: Times
) -> dict[str, Any]:
    ms = np.asarray(times.runs) * 1e3
    p50, p90, p99 = (float(np.percentile(ms, q)) for q in (50, 90, 99))
    batch = feeding.batch_of(model, feed)
    flops = model.describe({name: array.shape for name, array in feed.items()}).flops
    per_second = len(ms) / sum(times.runs)
    return {
        "model": str(args.model),
        "cpu": cpu_name(),
        "isa": model.isa,
        "threads": model.threads,
        "numerics": args.numerics,
        "batch": batch,
        "inputs": {name: list(array.shape) for name, array in feed.items()},
        "data": "files" if args.input else f"random, seed {args.seed}",
        "warmup_runs": args.warmup + 1,
        "first_run_ms": times.first * 1e3,
        "runs": len(ms),
        "seconds": sum(times.runs),
        "ms": {
            "min": float(ms.min()),
            "mean": float(ms.mean()),
            "p50": p50,
            "p90": p90,
            "p99": p99,
            "max": float(ms.max()),
        },
        "runs_per_s": per_second,
        "samples_per_s": per_second * batch,
        "flops": flops,
        "gflops_per_s": flops / p50 / 1e6,
    }


def _show(report: dict[str, Any]) -> None:
    threads = "1 thread" if report["threads"] == 1 else f"{report['threads']} threads"
    shapes = ", ".join(f"{name} {shape}" for name, shape in report["inputs"].items())
    output.say(f"{report['model']} on {report['cpu']}, {report['isa']}, {threads}")
    output.say(f"Batch {report['batch']}: {shapes} ({report['data']})")
    output.say(
        f"Load {report['load_ms']:.1f} ms, first run {report['first_run_ms']:.3f} ms, "
        f"{report['warmup_runs']} runs of warm-up, {report['runs']} timed in "
        f"{report['seconds']:.2f} s"
    )
    names = ("min", "p50", "p90", "p99", "max", "mean")
    table = output.table(("",), names)
    table.add_row("ms per run", *(f"{report['ms'][name]:.4f}" for name in names))
    output.show(table)
    output.say(
        f"{report['samples_per_s']:.1f} samples per second, "
        f"{report['gflops_per_s']:.1f} GFLOP/s at the median"
    )
