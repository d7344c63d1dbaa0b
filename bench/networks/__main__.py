"""Command line: lists the networks with their size and cost, or writes them as .onnx files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from . import Network, build, count, get, names, path

Row = dict[str, object]


def describe(spec: Network) -> Row:
    """One network as plain data: sizes for one sample, parameters and operations as numbers."""
    cost = count(build(spec.name, seed=None))
    shapes = {i.name: [1 if d == "N" else d for d in i.shape] for i in spec.inputs}
    return {
        "name": spec.name,
        "parameters": cost.parameters,
        "flops": cost.flops,
        "inputs": shapes,
        "paper": spec.paper,
    }


def table(rows: Iterable[Row]) -> Table:
    """The rows of `describe` as a table, in millions of parameters and GFLOPs."""
    out = Table("network", box=None, pad_edge=False)
    out.add_column("M params", justify="right")
    out.add_column("GFLOPs", justify="right")
    out.add_column("input")
    out.add_column("paper", overflow="fold")
    for row in rows:
        parameters, flops, inputs = row["parameters"], row["flops"], row["inputs"]
        assert isinstance(parameters, int)
        assert isinstance(flops, int)
        assert isinstance(inputs, dict)
        shapes = "\n".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in inputs.items())
        sizes = f"{parameters / 1e6:.2f}", f"{flops / 1e9:.2f}"
        out.add_row(str(row["name"]), *sizes, shapes, str(row["paper"]))
    return out


def progress(items: list[str], what: str) -> Iterator[str]:
    """The items, with a bar on the standard error stream while it is a terminal."""
    console = Console(stderr=True)
    yield from track(items, what, console=console, transient=True, disable=not console.is_terminal)


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    out = argparse.ArgumentParser("python -m bench.networks", description=__doc__)
    out.add_argument("names", nargs="*", metavar="NAME", help="networks; all when none is named")
    action = out.add_mutually_exclusive_group(required=True)
    action.add_argument(
        "--list", action="store_true", help="parameters, GFLOPs, input shapes and papers"
    )
    action.add_argument(
        "--write", type=Path, metavar="DIR", help="write the .onnx files into this folder"
    )
    out.add_argument("--json", action="store_true", help="print JSON")
    out.add_argument(
        "--batch", default="1", help="samples per run, or a name for a symbolic batch (1)"
    )
    out.add_argument("--seed", type=int, default=0, help="seed of the weights (0)")
    return out


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        chosen = [get(name).name for name in args.names] or names()
        if args.list:
            rows = [describe(get(name)) for name in progress(chosen, "Counting")]
            if args.json:
                print(json.dumps(rows, indent=1))
            else:
                width = None if sys.stdout.isatty() else 200
                Console(width=width).print(table(rows))
        else:
            batch = int(args.batch) if args.batch.isdigit() else args.batch
            written = {
                n: path(n, args.write, batch, args.seed) for n in progress(chosen, "Writing")
            }
            files = {name: str(file) for name, file in written.items()}
            print(json.dumps(files, indent=1) if args.json else "\n".join(files.values()))
    except (KeyError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
