"""Show where a model's time goes: per layer, against the peak measured on this machine.

An algorithm that saves operations (Winograd) can pass 100 % of the peak: operations are counted
as direct convolution does them.
"""

from __future__ import annotations

import argparse

from lanewise import explanation
from lanewise.cli import feeding, options, output

HELP = "show the algorithm, time and share of the machine's peak of each layer"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options.add_model(parser)
    options.add_engine(parser)
    options.add_device(parser)
    options.add_shapes(parser)
    feeding.add_options(parser)
    parser.add_argument(
        "--runs",
        type=options.positive(int),
        metavar="N",
        default=10,
        help="runs that the medians are taken over (default: 10)",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="also list the algorithms that could not be taken"
    )


def command(args: argparse.Namespace) -> int:
    """Profiles and prints."""
    model = options.load(args)
    feed = feeding.feed(args, model)
    found = explanation.explain(model, feed, args.runs)
    if args.json:
        inputs = {name: list(array.shape) for name, array in feed.items()}
        output.print_json({"model": str(args.model), "inputs": inputs, **found.as_dict()})
    else:
        output.show(found.render(args.verbose))
    return 0
