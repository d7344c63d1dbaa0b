"""Inputs of the commands that take time: files when given, else seeded random arrays."""

from __future__ import annotations

import argparse

import lanewise as lw
from lanewise.cli import arrays, images, options
from lanewise.dtypes import Array
from lanewise.feeds import random_inputs

FILES_HAVE_SHAPES = "--batch and --shape are for random inputs; the files of --input have shapes"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options --input and --seed."""
    parser.add_argument(
        "--input",
        nargs="+",
        action="extend",
        default=[],
        metavar="[NAME=]FILE",
        help="files as for `lanewise run` (default: random arrays)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random arrays (default: 0)")


def feed(args: argparse.Namespace, model: lw.Model) -> dict[str, Array]:
    """An array for each required input.

    Raises:
        InputError: files and shapes are given both, or do not fit the model.
        OSError: a file cannot be read.
    """
    if not args.input:
        return random_inputs(model.inputs, options.shapes(args, model), args.seed)
    if args.batch is not None or args.shape:
        raise lw.InputError(
            FILES_HAVE_SHAPES,
            "--input",
            "either files or shapes",
            "both",
        )
    return arrays.read(model, args.input, images.ImageOptions()).arrays
