"""Scan as it was in opset 8: over a batch of sequences, of different lengths."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import lanewise as lw

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def scan_model(lengths: bool, directions: list[int] | None = None) -> onnx.ModelProto:
    """A running sum of x, and the negative of each slice of z."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Add", ["s", "xi"], ["t"]),
            helper.make_node("Identity", ["t"], ["sum"]),
            helper.make_node("Neg", ["zi"], ["negative"]),
        ],
        "body",
        [info("s", FLOAT, [2]), info("xi", FLOAT, [2]), info("zi", FLOAT, [])],
        [info("t", FLOAT, [2]), info("sum", FLOAT, [2]), info("negative", FLOAT, [])],
    )
    node = helper.make_node(
        "Scan", ["lengths" if lengths else "", "s0", "x", "z"], ["last", "sums", "negatives"],
        name="under test", num_scan_inputs=2, body=body,
        **({} if directions is None else {"directions": directions}),
    )  # fmt: skip
    inputs = [info("s0", FLOAT, ["b", 2]), info("x", FLOAT, ["b", "t", 2]),
              info("z", FLOAT, ["b", "t"])]  # fmt: skip
    if lengths:
        inputs.append(info("lengths", INT64, ["b"]))
    outputs = [helper.make_empty_tensor_value_info(n) for n in ("last", "sums", "negatives")]
    graph = helper.make_graph([node], "g", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)])


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("lengths", [None, [4, 4, 4], [1, 4, 0]])
def test_each_sequence_has_its_length(lengths: list[int] | None, backwards: bool) -> None:
    rng = np.random.default_rng(0)
    s0 = rng.normal(size=(3, 2)).astype(np.float32)
    x = rng.normal(size=(3, 4, 2)).astype(np.float32)
    z = rng.normal(size=(3, 4)).astype(np.float32)
    feeds = {"s0": s0, "x": x, "z": z}
    if lengths is not None:
        feeds["lengths"] = np.array(lengths)
    model = lw.load(scan_model(lengths is not None, [1, 0] if backwards else None))
    got = model.run(feeds)
    sums, negatives, last = np.zeros_like(x), np.zeros_like(z), s0.copy()
    for b, n in enumerate(lengths or [4, 4, 4]):
        for t in range(n):
            last[b] += x[b, n - 1 - t if backwards else t]
            sums[b, t] = last[b]
        negatives[b, :n] = -z[b, :n]
    np.testing.assert_array_equal(got["last"], last)
    np.testing.assert_array_equal(got["sums"], sums)
    np.testing.assert_array_equal(got["negatives"], negatives)


def test_faults_are_named() -> None:
    model = scan_model(False)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "num_scan_inputs":
            attribute.i = 7
    with pytest.raises(lw.ModelError, match=r"under test.*'num_scan_inputs' must be 1 to"):
        lw.load(model)
