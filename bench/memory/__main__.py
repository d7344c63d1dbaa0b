"""Peak resident size, and time to import, load and run once, of engines on networks or files.

Every figure is the median over rounds of fresh processes, the engines taking turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import networks
from bench.peers import subject
from lanewise.benchmark import engines as defined

COLUMNS = {
    "peak_mb": "peak MB",
    "import_ms": "import ms",
    "load_ms": "load ms",
    "first_ms": "first run ms",
}


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    out = argparse.ArgumentParser("python -m bench.memory", description=__doc__)
    out.add_argument("names", nargs="+", metavar="NAME", help="networks or .onnx files")
    out.add_argument("--threads", type=int, default=1, help="threads of every engine (1)")
    out.add_argument("--rounds", type=int, default=3, help="processes for each figure (3)")
    out.add_argument(
        "--peers", default="lanewise,onnxruntime", help=f"engines of {', '.join(defined.ENGINES)}"
    )
    out.add_argument("--cache", type=Path, metavar="DIR", help="keep the networks' files here")
    out.add_argument("--json", action="store_true", help="print JSON")
    return out


def measure(engine: str, found: subject.Subject, inputs: Path, threads: int) -> dict[str, float]:
    """What one fresh process took; RuntimeError with its last line where it failed."""
    command = [sys.executable, "-m", "bench.memory.child", str(defined.__file__), engine]
    done = subprocess.run(
        [*command, str(found.file), str(inputs), str(threads)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"{found.name}: {engine}: {reason}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; 1 if a process failed."""
    args = parser().parse_args(arguments)
    engines = [name.strip() for name in args.peers.split(",")]
    if unknown := [name for name in engines if name not in defined.ENGINES]:
        print(
            f"--peers: no engine {unknown[0]!r}; known: {', '.join(defined.ENGINES)}",
            file=sys.stderr,
        )
        return 2
    results: dict[str, dict[str, dict[str, float]]] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in args.names:
                found = subject.find(name, args.cache or Path(folder), 1, 0)
                inputs = Path(folder) / "inputs.npz"
                arrays: dict[str, Any] = dict(found.feed)
                np.savez(inputs, **arrays)
                rounds = [
                    {e: measure(e, found, inputs, args.threads) for e in engines}
                    for _ in range(args.rounds)
                ]
                results[found.name] = {
                    e: {key: median(r[e][key] for r in rounds) for key in COLUMNS} for e in engines
                }
    except (OSError, RuntimeError, ValueError, networks.UnknownNetworkError) as error:
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(results, indent=2))
        return 0
    table = Table("network", "engine", *COLUMNS.values())
    for name, by_engine in results.items():
        for engine, figures in by_engine.items():
            table.add_row(name, engine, *(f"{figures[key]:.0f}" for key in COLUMNS))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
