"""The command line on models whose values are not all tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.cli.helpers import call, failure, write
from tests.ops.values import FLOAT, graph, mapping, sequence, tensor


def test_run_writes_the_items_of_a_sequence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nodes = [helper.make_node("SplitToSequence", ["x"], ["s"], keepdims=0)]
    path = write(
        tmp_path / "split.onnx", graph(nodes, {"x": tensor(FLOAT, [2, 3])}, {"s": sequence()})
    )
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    found = call(capsys, "run", path, "--input", tmp_path / "x.npy", "--output", tmp_path, "--json")
    assert [each["name"] for each in found.json["outputs"]] == ["s[0]", "s[1]"]
    for each, row in zip(found.json["outputs"], x, strict=True):
        np.testing.assert_array_equal(np.load(each["files"][0]), row)
    shown = call(capsys, "info", path).out
    assert "sequence(float32)" in shown
    assert "any shape" not in shown


def test_inputs_that_no_file_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    type_ = mapping(TensorProto.STRING, tensor())
    nodes = [helper.make_node("Identity", ["m"], ["n"])]
    path = write(tmp_path / "map.onnx", graph(nodes, {"m": type_}, {"n": type_}))
    np.save(tmp_path / "m.npy", np.zeros(2))
    assert "run the model from Python" in failure(
        capsys, "run", path, "--input", tmp_path / "m.npy"
    )
    assert "is a map(string, float32), which cannot be made up" in failure(capsys, "explain", path)
    assert "map(string, float32)" in call(capsys, "info", path).out
