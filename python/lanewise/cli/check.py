"""Report every problem of a model at once: the file, the graph, the operators, the plan.

The model is also planned for concrete shapes where these are known; --batch and --shape fill in
open dimensions. With --device cuda, the steps that stay on the CPU are listed with the reasons.
Exit status 1 when there is a problem.
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
    options.add_device(parser)


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
        for step in result["on_cpu"]:
            output.say(f"  on the CPU: {step['op']} '{step['name']}': {step['reason']}")
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
    on_cpu: list[dict[str, str]] = []
    if not problems:
        try:
            note, on_cpu = _plan(args)
        except lw.InputError as error:
            if args.batch is not None or args.shape:
                raise
            note = f"not planned: {error}"
        except lw.LanewiseError as error:
            problems.append(str(error))
    result = {"model": str(args.model), "ok": not problems, "problems": problems, "note": note}
    return {**result, "on_cpu": on_cpu}


def _plan(args: argparse.Namespace) -> tuple[str, list[dict[str, str]]]:
    """Plans the model; says for what, and which steps the device that was asked for lacks."""
    model = options.load(args)
    shapes = options.shapes(args, model)
    plan = model.describe(shapes)
    texts = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    part = "" if plan.complete else ", up to where the steps depend on data"
    note = f"planned for {texts or 'no inputs'}{part}"
    if model.device == "cpu":
        return note, []
    on_cpu = [layer for layer in plan.layers if layer.device == "cpu"]
    there = sum(layer.device == model.device for layer in plan.layers)
    copies = len(plan.layers) - there - len(on_cpu)
    note += f"; {there} steps on {model.device}, {len(on_cpu)} on the CPU, {copies} copies"
    return note, [
        {"name": layer.name, "op": layer.op, "reason": layer.refused[0][1]} for layer in on_cpu
    ]
