"""Calling the command line in this process, and small models and files for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lanewise.cli import main
from lanewise.demo.report import data_path

DIGITS = data_path("digits.onnx")
SUPERRES = data_path("superres.onnx")


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Finished:
    """Runs `lanewise ARGUMENTS`."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Finished(status, captured.out, captured.err)


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Runs a command that must fail cleanly; its message, which is all that it prints."""
    finished = call(capsys, *arguments)
    assert finished.status == 1
    assert finished.out == ""
    assert finished.err.startswith("lanewise: error: ")
    assert "Traceback" not in finished.err
    assert "unexpected" not in finished.err
    return finished.err


def picture(path: Path, width: int, height: int, mode: str = "RGB", seed: int = 0) -> Path:
    """Writes a random picture."""
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def identity(
    path: Path, *inputs: tuple[str, list[int | str | None] | None], dtype: int = TensorProto.FLOAT
) -> Path:
    """Writes a model that returns each input: output "out_NAME" for input "NAME"."""
    values = [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs]
    results = [helper.make_tensor_value_info(f"out_{name}", dtype, shape) for name, shape in inputs]
    nodes = [helper.make_node("Identity", [name], [f"out_{name}"]) for name, _ in inputs]
    return write(path, helper.make_graph(nodes, "identity", values, results))


def write(path: Path, graph: onnx.GraphProto) -> Path:
    """Writes a graph as a model of opset 17."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
