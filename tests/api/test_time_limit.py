"""The option time_limit: a loop that does not end gives an error, at load and at run."""

from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import lanewise as lw


def endless(constant: bool) -> onnx.ModelProto:
    """A loop whose condition stays true; over a constant it runs when the model is loaded."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Neg", ["v"], ["w"]),
        ],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []),
         info("v", TensorProto.FLOAT, [2])],
        [info("on", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["", "", "x"], ["y"], name="spin", body=body)
    x = helper.make_tensor("x", TensorProto.FLOAT, [2], [1.0, 2.0])
    inputs = [] if constant else [info("x", TensorProto.FLOAT, [2])]
    outputs = [helper.make_empty_tensor_value_info("y")]
    graph = helper.make_graph([loop], "g", inputs, outputs, [x] if constant else [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def test_a_run_ends() -> None:
    model = lw.load(endless(constant=False), time_limit=0.2)
    for _ in range(2):  # each run has its own
        start = time.monotonic()
        with pytest.raises(
            lw.ResourceError, match=r"node '\w*' \(\w+\): .*the time limit has passed"
        ):
            model(np.ones(2, np.float32))
        assert 0.15 < time.monotonic() - start < 5


def test_a_load_ends() -> None:
    with pytest.raises(lw.ResourceError, match="time limit"):
        lw.load(endless(constant=True), time_limit=0.2)


def test_a_run_in_time_is_not_disturbed() -> None:
    node = helper.make_node("Abs", ["x"], ["y"])
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    graph = helper.make_graph([node], "g", [info], [helper.make_empty_tensor_value_info("y")])
    model = lw.load(helper.make_model(graph), time_limit=60)
    np.testing.assert_array_equal(model(np.array([-1, 2], np.float32)), [1, 2])


@pytest.mark.parametrize("value", [0, -1.5, float("nan"), "1", True])
def test_what_is_no_limit_is_refused(value: object) -> None:
    with pytest.raises(lw.InputError, match="time_limit: expected a positive number"):
        lw.load(b"", time_limit=value)  # type: ignore[arg-type]
