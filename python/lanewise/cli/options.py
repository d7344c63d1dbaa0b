"""Options that several commands share, and what follows from them: a model, shapes, arrays."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lanewise as lw
from lanewise.feeds import concrete_shapes

Number = TypeVar("Number", int, float)
Item = TypeVar("Item")


def positive(kind: Callable[[str], Number]) -> Callable[[str], Number]:
    """An argparse type: a number above zero."""

    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = kind("0")
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a positive number, got '{text}'")
        return value

    return parse


def several(kind: Callable[[str], Item]) -> Callable[[str], list[Item]]:
    """An argparse type: items between commas, without repetition."""

    def parse(text: str) -> list[Item]:
        return list(dict.fromkeys(kind(part.strip()) for part in text.split(",")))

    return parse


def one_of(*names: str) -> Callable[[str], str]:
    """An argparse type: one of some names, for lists where `choices` would look at the whole."""

    def parse(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(names)}, got '{text}'")
        return text

    return parse


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """An argparse type: NAME=1,3,224,224, or 1,3,224,224 for a model with one input."""
    name, _, sizes = text.rpartition("=")
    try:
        shape = tuple(int(size) for size in sizes.replace("x", ",").split(",")) if sizes else ()
    except ValueError:
        shape = (-1,)
    if any(size < 0 for size in shape):
        raise argparse.ArgumentTypeError(f"expected NAME=1,3,224,224, got '{text}'")
    return name, shape


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model's path and --json."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="path of an ONNX file")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The switch --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """The option --threads."""
    parser.add_argument(
        "--threads",
        type=positive(int),
        metavar="N",
        help="threads to use (default: the physical cores that this process may use)",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """How models run: --threads, --isa, --numerics, --time-limit."""
    add_threads(parser)
    add_kernels(parser)


def add_kernels(parser: argparse.ArgumentParser) -> None:
    """How models run but for threads: --isa, --numerics, --time-limit."""
    parser.add_argument(
        "--isa",
        help="instruction set: baseline, avx2, avx512, avx512_vnni or amx (default: the widest)",
    )
    parser.add_argument(
        "--numerics",
        choices=("fast", "reproducible", "strict"),
        default="fast",
        help="which reorderings of sums are allowed (default: fast)",
    )
    parser.add_argument(
        "--time-limit",
        type=positive(float),
        metavar="SECONDS",
        help="give up a load or a run that takes longer, as a loop without end does",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="choose algorithms by time, once for a model and processor, and keep the choices",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where models run: --device, --precision."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:<number> (default: cpu)")
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32", "float16", "bfloat16"),
        default="float32",
        help="what a GPU computes in (default: float32)",
    )


def add_shapes(parser: argparse.ArgumentParser) -> None:
    """Sizes of open dimensions: --batch, --shape."""
    parser.add_argument(
        "--batch",
        type=positive(int),
        metavar="N",
        help="size of the first dimension where the model leaves it open (default: 1)",
    )
    add_shape(parser)


def add_shape(parser: argparse.ArgumentParser) -> None:
    """The option --shape."""
    parser.add_argument(
        "--shape",
        type=named_shape,
        action="append",
        default=[],
        metavar="NAME=1,3,224,224",
        help="shape of an input, where the model leaves other dimensions open; may be repeated",
    )


def load(args: argparse.Namespace) -> lw.Model:
    """The model, loaded with `add_engine`'s and `add_device`'s options where there are any."""
    return lw.load(
        args.model,
        threads=getattr(args, "threads", None),
        isa=getattr(args, "isa", None),
        numerics=getattr(args, "numerics", "fast"),
        time_limit=getattr(args, "time_limit", None),
        device=getattr(args, "device", "cpu"),
        precision=getattr(args, "precision", "float32"),
        tune=getattr(args, "tune", False),
    )


def shapes(args: argparse.Namespace, model: lw.Model) -> dict[str, tuple[int, ...]]:
    """A shape for each input, from the model and the options of `add_shapes`.

    Raises:
        InputError: a dimension stays open, or an option does not fit the model.
    """
    given = dict(args.shape)
    required = [info.name for info in model.inputs if not info.optional]
    if "" in given:
        if len(required) != 1:
            raise lw.InputError(
                f"--shape: the model has {len(required)} inputs; write --shape NAME=1,3,224,224",
                "--shape",
                "NAME=sizes",
                "sizes",
            )
        given[required[0]] = given.pop("")
    return concrete_shapes(model.inputs, args.batch, given)
