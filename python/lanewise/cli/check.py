"""Report every problem of a model at once: the file, the graph, the operators, the plan.

The model is also planned for concrete shapes where these are known; --batch and --shape fill in
open dimensions. Exit status 1 when there is a problem.
"""

from __future__ import annotations

import argparse
from typing import Any

import lanewise as lw
from lanewise import _core
from lanewise.cli import options, output

HELP = "report every problem of a model at once"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options.add_model(parser)
    options.add_shapes(parser)


def command(args: argparse.Namespace) -> int:
    """Prints the problems, or that there are none."""
    result = find_problems(args)
    problems = result["problems"]
    if args.json:
        output.print_json(result)
    elif problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        output.say(f"{args.model}: {count}")
        for problem in problems:
            output.say(f"  {problem}")
    else:
        output.say(f"{args.model}: ok, {result['note']}")
    return 1 if problems else 0


def find_problems(args: argparse.Namespace) -> dict[str, Any]:
    """The problems as texts, and how far the check went.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: --batch or --shape does not fit the model.
    """
    if not args.model.exists():
        raise FileNotFoundError(f"no such model file: {args.model}")
    problems = list(_core.check_file(str(args.model)))
    note = "not planned"
    if not problems:
        try:
            note = _plan(args)
        except lw.InputError as error:
            if args.batch is not None or args.shape:
                raise
            note = f"not planned: {error}"
        except lw.LanewiseError as error:
            problems.append(str(error))
    return {"model": str(args.model), "ok": not problems, "problems": problems, "note": note}


def _plan(args: argparse.Namespace) -> str:
    """Plans the model and says for what."""
    model = options.load(args)
    shapes = options.shapes(args, model)
    plan = model.describe(shapes)
    texts = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    part = "" if plan.complete else ", up to where the steps depend on data"
    return f"planned for {texts or 'no inputs'}{part}"
