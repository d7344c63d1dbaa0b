"""Show what a model is: inputs, outputs, operators, parameters, FLOPs and memory."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import lanewise as lw
from lanewise.cli import options, output
from lanewise.feeds import shape_text

HELP = "show inputs, outputs, operators, parameters and FLOPs"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options.add_model(parser)
    options.add_shapes(parser)


def command(args: argparse.Namespace) -> int:
    """Prints the facts."""
    model = options.load(args)
    facts = describe(args, model)
    if args.json:
        output.print_json(facts)
    else:
        show(facts)
    return 0


def describe(args: argparse.Namespace, model: lw.Model) -> dict[str, Any]:
    """All facts as values that `json` can write."""
    return {
        "model": str(args.model),
        "file_bytes": args.model.stat().st_size,
        "metadata": model.metadata,
        "inputs": [_tensor(info) for info in model.inputs if not info.optional],
        "replaceable": [_tensor(info) for info in model.inputs if info.optional],
        "outputs": [_tensor(info) for info in model.outputs],
        "operators": dict(Counter(op for _, op in model.nodes).most_common()),
        "nodes": len(model.nodes),
        "parameters": model.parameters,
        "plan": _plan(args, model),
    }


def _tensor(info: lw.TensorInfo) -> dict[str, Any]:
    shape = None if info.shape is None else list(info.shape)
    return {"name": info.name, "dtype": info.dtype, "shape": shape}


def _plan(args: argparse.Namespace, model: lw.Model) -> dict[str, Any]:
    """FLOPs and memory for concrete shapes, or the reason why there are none."""
    try:
        shapes = options.shapes(args, model)
    except lw.InputError as error:
        if args.batch is not None or args.shape:
            raise
        return {"note": str(error)}
    plan = model.describe(shapes)
    facts: dict[str, Any] = {
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "flops": plan.flops,
        "layers": len(plan.layers),
        "arena_bytes": plan.arena_bytes,
        "packed_weight_bytes": plan.weight_bytes,
        "complete": plan.complete,
    }
    if not plan.complete:
        facts["note"] = "later steps depend on data"
    return facts


def show(facts: dict[str, Any]) -> None:
    """Prints the facts for people."""
    output.say(f"{facts['model']}  {output.megabytes(facts['file_bytes'])}")
    for key, value in facts["metadata"].items():
        if value:
            output.say(f"  {key}: {value}")
    for heading in ("inputs", "outputs"):
        tensors = output.table((heading, "type", "shape"))
        for tensor in facts[heading]:
            shape = "" if "(" in tensor["dtype"] else shape_text(tensor["shape"])
            cells = (tensor["name"], tensor["dtype"], shape)
            tensors.add_row(*map(output.cell, cells))
        output.say()
        output.show(tensors)
    operators = output.table(("operators",), ("nodes",))
    for name, count in facts["operators"].items():
        operators.add_row(output.cell(name), f"{count}")
    output.say()
    output.show(operators)
    output.say()
    output.say(f"Parameters  {facts['parameters']:,}")
    _show_plan(facts["plan"])


def _show_plan(plan: dict[str, Any]) -> None:
    if "flops" in plan:
        shapes = ", ".join(f"{name} {shape}" for name, shape in plan["shapes"].items())
        least = "" if plan["complete"] else "at least "
        output.say(f"FLOPs       {least}{plan['flops'] / 1e9:.4f} G for {shapes}")
        output.say(
            f"Memory      {output.megabytes(plan['arena_bytes'])} per run, "
            f"{output.megabytes(plan['packed_weight_bytes'])} of packed weights"
        )
    if "note" in plan:
        output.say(f"Not counted: {plan['note']}")
