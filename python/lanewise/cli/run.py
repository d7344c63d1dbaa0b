r"""Run a model on files: NumPy arrays or pictures in, arrays, pictures or top classes out.

lanewise run resnet50.onnx --input dog.jpg --resize crop --labels imagenet.txt \
      --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
lanewise run model.onnx --input image=a.npy state=b.npz:key --output results
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import lanewise as lw
from lanewise.cli import arrays, images, labels, options, output, results
from lanewise.dtypes import Array
from lanewise.values import flatten

HELP = "run a model on .npy, .npz or image files"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    options.add_model(parser)
    options.add_engine(parser)
    options.add_device(parser)
    parser.add_argument(
        "--input",
        nargs="+",
        action="extend",
        default=[],
        metavar="[NAME=]FILE",
        help="file.npy, file.npz[:array] or a picture for each input; pictures given for one "
        "input become a batch",
    )
    parser.add_argument(
        "--outputs", nargs="+", metavar="NAME", help="tensors to compute (default: the outputs)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write each output as .npy")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="names of the classes")
    parser.add_argument(
        "--top", type=options.positive(int), metavar="K", help="classes to show (default: 5)"
    )
    parser.add_argument(
        "--save-images", action="store_true", help="also write picture-shaped outputs as PNG"
    )
    parser.add_argument(
        "--image-range",
        type=results.value_range,
        metavar="LO,HI",
        help="values of black and white in outputs (default: 0,1 or -1,1 or 0,255, as seen)",
    )
    images.add_options(parser)


def command(args: argparse.Namespace) -> int:
    """Runs once and prints what came out."""
    if args.save_images and args.output is None:
        raise lw.InputError("--save-images needs --output DIR", "--output", "a folder", "nothing")
    names = labels.read_labels(args.labels) if args.labels else {}
    model = options.load(args)
    feed = arrays.read(model, args.input, images.of_arguments(args))
    start = time.perf_counter()
    values = model.run(feed.arrays, args.outputs)
    seconds = time.perf_counter() - start
    found = {k: a for name, value in values.items() for k, a in flatten(name, value).items()}
    classes = _classes(found, names, args.top) if names or args.top else []
    files = results.save(found, args.output) if args.output else {}
    if args.save_images:
        pictures = results.save_pictures(found, args.output, args.image_range, args.bgr)
        for name, written in pictures.items():
            files[name] += written
    report = {
        "model": str(args.model),
        "isa": model.isa,
        "threads": model.threads,
        "device": model.device,
        "ms": seconds * 1e3,
        "inputs": [_input(name, array, feed.notes[name]) for name, array in feed.arrays.items()],
        "outputs": [
            {**results.summary(name, a), "files": files.get(name, [])} for name, a in found.items()
        ],
        "classes": classes,
    }
    if args.json:
        output.print_json(report)
    else:
        _show(report)
    return 0


def _input(name: str, array: Array, notes: list[str]) -> dict[str, Any]:
    return {"name": name, "dtype": str(array.dtype), "shape": list(array.shape), "notes": notes}


def _classes(
    found: Mapping[str, Array], names: dict[int, str], count: int | None
) -> list[dict[str, Any]]:
    """The top classes of each sample of each output that is a classifier's.

    Raises:
        InputError: no output is one, or none has as many classes as there are labels.
    """
    scores = {name: labels.class_scores(array) for name, array in found.items()}
    fitting = {
        name: array
        for name, array in scores.items()
        if array is not None and (not names or array.shape[1] == max(names) + 1)
    }
    if not fitting:
        wanted = f"{max(names) + 1} classes, as the labels have" if names else "classes"
        shapes = ", ".join(f"'{name}' {list(array.shape)}" for name, array in found.items())
        raise lw.InputError(
            f"no output has one score for each of {wanted}; the outputs are {shapes}",
            "--labels" if names else "--top",
            wanted,
            shapes,
        )
    result = []
    for name, array in fitting.items():
        rows, softmax = labels.probabilities(array)
        samples = [[asdict(guess) for guess in labels.top(row, count or 5, names)] for row in rows]
        result.append({"output": name, "softmax_applied": softmax, "samples": samples})
    return result


def _show(report: dict[str, Any]) -> None:
    for each in report["inputs"]:
        for note in each["notes"]:
            output.say(f"Input '{each['name']}' {each['dtype']} {each['shape']} from {note}")
    threads = "1 thread" if report["threads"] == 1 else f"{report['threads']} threads"
    where = f"{report['isa']}, {threads}" if report["device"] == "cpu" else report["device"]
    output.say(f"Ran in {report['ms']:.3f} ms (first run, {where})")
    for each in report["outputs"]:
        output.say(f"Output '{each['name']}' {each['dtype']} {each['shape']}{_values(each)}")
        for file in each["files"]:
            output.say(f"  wrote {file}")
    for each in report["classes"]:
        form = "softmax applied" if each["softmax_applied"] else "already probabilities"
        for number, sample in enumerate(each["samples"]):
            of = f", sample {number}" if len(each["samples"]) > 1 else ""
            output.say(f"Top {len(sample)} of '{each['output']}'{of} ({form}):")
            for guess in sample:
                label = f"  {guess['label']}" if guess["label"] else ""
                output.say(f"  {guess['probability']:8.4%}  {guess['index']:5d}{label}")


def _values(summary: dict[str, Any]) -> str:
    if "values" in summary:
        return ": " + np.array2string(np.asarray(summary["values"]), separator=", ", precision=6)
    if "min" in summary:
        return ": min {min:.6g}, max {max:.6g}, mean {mean:.6g}".format(**summary)
    return ""
