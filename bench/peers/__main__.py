"""Compares Lanewise with other engines on published networks or ONNX files, interleaved."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import networks
from lanewise.benchmark.engines import ENGINES, Engine
from lanewise.benchmark.turns import SETTLE_SECONDS
from lanewise.machine import cpu_name

from . import quantise, report, subject
from .measure import Result, Settings, measure

DEFAULT_PEERS = ("lanewise", "onnxruntime", "openvino")
INTERRUPTED = 130

TELL = Console(stderr=True)


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    out = argparse.ArgumentParser("python -m bench.peers", description=__doc__)
    out.add_argument(
        "names", nargs="*", metavar="NAME", help="networks or .onnx files; all networks"
    )
    out.add_argument("--threads", type=_positive, default=1, help="threads of every engine (1)")
    out.add_argument("--rounds", type=_positive, default=7, help="rounds of turns (7)")
    out.add_argument(
        "--turn", type=float, default=0.1, metavar="SECONDS", help="length of a turn (0.1)"
    )
    out.add_argument("--batch", type=_positive, default=1, help="samples per run (1)")
    out.add_argument("--seed", type=int, default=0, help="seed of weights and inputs (0)")
    known = ", ".join(ENGINES)
    peers = ",".join(DEFAULT_PEERS)
    out.add_argument("--peers", default=peers, help=f"engines of {known} ({peers})")
    out.add_argument(
        "--quantise", choices=quantise.FORMS, help="to 8 bits first, in files of this form"
    )
    out.add_argument(
        "--tolerance",
        type=float,
        help=f"relative error that agrees (1e-3, or {quantise.TOLERANCE} when quantised)",
    )
    out.add_argument("--cache", type=Path, metavar="DIR", help="keep the networks' files here")
    out.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write JSON (no FILE: print)"
    )
    out.add_argument(
        "--csv", nargs="?", const="-", metavar="FILE", help="write CSV (no FILE: print)"
    )
    out.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios (png, svg, pdf)")
    return out


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; 1 if anything failed or Lanewise disagreed with the reference."""
    args = parser().parse_args(arguments)
    try:
        engines = available(args.peers.split(","))
        tolerance = args.tolerance or (quantise.TOLERANCE if args.quantise else 1e-3)
        settings = Settings(args.threads, args.rounds, args.turn, tolerance)
        results = compare(args.names or networks.names(), engines, settings, args)
        peers = [engine.name for engine in engines]
        show(results, peers, context(engines, settings, args), args)
    except (KeyError, OSError, ValueError) as error:
        TELL.print(f"error: {error}", style="red", markup=False, highlight=False)
        return 1
    if any(result.interrupted for result in results):
        return INTERRUPTED
    return int(any(report.OURS in result.left_out for result in results))


def available(names: Sequence[str]) -> list[Engine]:
    """The engines that are installed; says which are not.

    Raises:
        ValueError: A name is unknown, or no engine is left.
    """
    if unknown := [name for name in names if name not in ENGINES]:
        raise ValueError(f"no engine is called {unknown[0]!r}; there are: {', '.join(ENGINES)}")
    found = []
    for name in names:
        if reason := ENGINES[name].missing():
            TELL.print(f"{name} is left out: {reason}", markup=False, highlight=False)
        else:
            found.append(ENGINES[name])
    if not found:
        raise ValueError("none of the engines is installed")
    return found


def compare(
    names: Sequence[str], engines: Sequence[Engine], settings: Settings, args: argparse.Namespace
) -> list[Result]:
    """Measures one subject after the other, with a bar on the terminal."""
    results = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=TELL, transient=True, disable=not TELL.is_terminal) as bar:
        task = bar.add_task("", total=len(names))
        for place, name in enumerate(names):
            bar.update(task, description=name)

            def tick(part: float, place: int = place) -> None:
                bar.update(task, completed=place + part)

            with tempfile.TemporaryDirectory() as scratch:
                folder = args.cache or Path(scratch)
                one = subject.find(name, folder, args.batch, args.seed)
                if args.quantise:
                    one = quantise.quantised(one, args.quantise, folder, args.seed)
                results.append(measure(one, engines, settings, tick))
            if results[-1].interrupted:
                break
    return results


def context(
    engines: Sequence[Engine], settings: Settings, args: argparse.Namespace
) -> dict[str, Any]:
    """What a reader needs to judge the figures: machine, versions and settings."""
    return {
        "cpu": cpu_name(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "threads": settings.threads,
        "batch": args.batch,
        "numbers": f"8 bits, {args.quantise}" if args.quantise else "float32",
        "rounds": settings.rounds,
        "turn_seconds": settings.turn_seconds,
        "settle_seconds": SETTLE_SECONDS,
        "warm_up": "four runs after loading, one before each turn",
        "tolerance": settings.tolerance,
        "engines": {e.name: {"version": e.version(), "settings": e.settings} for e in engines},
    }


def show(
    results: Sequence[Result], peers: Sequence[str], about: dict[str, Any], args: argparse.Namespace
) -> None:
    """Prints the table, or what was asked for in its place, and writes the files."""
    texts = [
        (args.json, report.to_json(results, peers, about)),
        (args.csv, report.to_csv(results)),
    ]
    for target, text in texts:
        if target == "-":
            print(text, end="" if text.endswith("\n") else "\n")
        elif target is not None:
            Path(target).write_text(text, encoding="utf-8")
    for line in report.remarks(results):
        TELL.print(line, markup=False, highlight=False)
    if "-" not in (args.json, args.csv):
        console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
        for line in _heading(about):
            console.print(line, markup=False)
        console.print(report.table(results, peers))
    if args.plot:
        report.plot(results, peers, args.plot)


def _heading(about: dict[str, Any]) -> list[str]:
    lines = [
        f"{about['cpu']}, {about['threads']} thread(s), batch {about['batch']}, {about['numbers']}",
        f"{about['rounds']} rounds; in each, every engine in turn for {about['turn_seconds']} s, "
        "one by one in changing order",
        f"warm-up: {about['warm_up']}; the median of each turn, then of all rounds (± spread)",
    ]
    for name, engine in about["engines"].items():
        lines.append(f"{name} {engine['version']}: {engine['settings']}")
    return [*lines, ""]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
