"""Sequences share the tensors that are put into them where these have memory of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import lanewise as lw

ROOT = Path(__file__).parents[2]
ELEMENTS, TIMES = 1 << 20, 100  # 4 MiB, a hundred times


def model(result: str) -> onnx.ModelProto:
    """A loop that inserts the input into a sequence `times` times; one item, or all of them."""
    node, info = helper.make_node, helper.make_tensor_value_info
    inner = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    sequences = {name: helper.make_value_info(name, inner) for name in ("s", "t", "all")}
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("SequenceInsert", ["s", "x"], ["t"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), sequences["s"]],
        [info("on", TensorProto.BOOL, []), sequences["t"]],
    )
    nodes = [
        node("SequenceEmpty", [], ["none"]),
        node("Loop", ["times", "", "none"], ["all"], body=body),
        node("SequenceAt", ["all", "last"], ["item"]),
    ]
    inputs = [
        info("x", TensorProto.FLOAT, ["n"]),
        info("times", TensorProto.INT64, []),
        info("last", TensorProto.INT64, []),
    ]
    wanted = sequences["all"] if result == "all" else info("item", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", inputs, [wanted])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def grown() -> int:
    """Bytes by which the process's peak grows when the loop runs."""
    import resource

    loaded = lw.load(model("item"))
    feeds = {"x": np.ones(ELEMENTS, np.float32), "last": np.array(-1)}
    loaded.run({**feeds, "times": np.array(1)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded.run({**feeds, "times": np.array(TIMES)})
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def test_items_are_shared() -> None:
    """In a process of its own, whose peak nothing else has raised."""
    command = "from tests.api.test_sequence_memory import grown; print(grown())"
    result = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 10 * ELEMENTS * 4, "each of the hundred items has memory of its own"


def test_results_are_the_callers_own() -> None:
    """What is given back shares memory neither with the input nor with one another."""
    x = np.arange(4, dtype=np.float32)
    loaded = lw.load(model("all"))
    feeds = {"x": x, "times": np.array(3), "last": np.array(0)}
    items = loaded.run(feeds)["all"]
    assert len(items) == 3
    items[0][:] = 9
    np.testing.assert_array_equal(x, [0, 1, 2, 3])
    x[:] = 7
    for item in items[1:]:
        np.testing.assert_array_equal(item, [0, 1, 2, 3])
