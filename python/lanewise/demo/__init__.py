"""`lanewise demo`: trained networks on real data that they have not seen.

Each demo is one module with `run(output_dir, threads)`, which measures, and `show(result,
console)`, which prints. Every number comes from the run. The networks are trained by the
scripts in tools/train of the repository; data/README.md names the origin of the data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from . import denoise, digits, report, superres

DEMOS = {"digits": digits, "superres": superres, "denoise": denoise}


def measure(output_dir: Path, threads: int | None = None) -> dict[str, report.Result]:
    """Runs all demos and prints nothing.

    Args:
        output_dir: folder for pictures, made if missing.
        threads: threads of the engine; None lets it choose.

    Returns:
        What each demo found, by its name in `DEMOS`.

    Raises:
        LanewiseError: a model does not load or run.
        OSError: the folder or a picture cannot be written.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    return {name: demo.run(output_dir, threads) for name, demo in DEMOS.items()}


def run(output_dir: Path, json_output: bool = False, threads: int | None = None) -> int:
    """Runs all demos and prints what they found, each as soon as it is done.

    Args:
        output_dir: folder for pictures, made if missing.
        json_output: print one JSON object instead of text.
        threads: threads of the engine; None lets it choose.

    Returns:
        Exit status: 0 if every goal is reached, 1 if one is missed.

    Raises:
        LanewiseError: a model does not load or run.
        OSError: the folder or a picture cannot be written.
    """
    if json_output:
        results = measure(output_dir, threads)
        json.dump({name: result.as_dict() for name, result in results.items()}, sys.stdout)
        sys.stdout.write("\n")
        return 0 if all(result.passed for result in results.values()) else 1
    output_dir.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    passed = True
    for demo in DEMOS.values():
        result = demo.run(output_dir, threads)
        console.rule(f"[bold]{result.title}[/]", align="left")
        demo.show(result, console)
        report.show(result, console)
        console.print()
        passed = passed and result.passed
    if not passed:
        Console(stderr=True).print("[bold red]A goal was missed; see above.[/]")
    return 0 if passed else 1
