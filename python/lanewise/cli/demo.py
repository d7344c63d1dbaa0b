"""Run trained networks on data that they have not seen: digits, super-resolution, denoising."""

from __future__ import annotations

import argparse
from pathlib import Path

from lanewise.cli import options

HELP = "run trained networks on real data"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options.add_json(parser)
    options.add_threads(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="folder for pictures, made if missing (default: demo-output)",
    )


def command(args: argparse.Namespace) -> int:
    """Runs the demos; 1 when one misses its goal."""
    from lanewise import demo

    return demo.run(args.output, json_output=args.json, threads=args.threads)
