"""Shapes whose memory cannot be had are refused before any step; the model stays usable."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw


def model(*, inner: bool) -> onnx.ModelProto:
    """Picks x[index], spreads it over an image and convolves.

    Height and width are those of two empty inputs, so that they are known with the input shapes.
    `inner`: only the maximum leaves the model, so that the large tensors lie in its arena.
    """
    node = helper.make_node
    nodes = [
        node("Gather", ["x", "index"], ["picked"], axis=1, name="pick"),
        node("Shape", ["like_height"], ["height"], start=1),
        node("Shape", ["like_width"], ["width"], start=1),
        node("Concat", ["ones", "height", "width"], ["shape"], axis=0),
        node("Expand", ["picked", "shape"], ["wide"]),
        node("Conv", ["wide", "w"], ["y"], pads=[1, 1, 1, 1]),
        node("GlobalMaxPool", ["y"], ["most"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 1, 1]),
        helper.make_tensor_value_info("index", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("like_height", TensorProto.FLOAT, [0, "h"]),
        helper.make_tensor_value_info("like_width", TensorProto.FLOAT, [0, "w"]),
    ]
    constants = [
        numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w"),
        numpy_helper.from_array(np.array([1, 1]), "ones"),
    ]
    y = helper.make_tensor_value_info("most" if inner else "y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "wide", inputs, [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("bits", [23, 30, 40])  # 2^48 and 2^62 bytes; a count beyond 64 bits
def test_impossible_sizes(bits: int, inner: bool) -> None:
    loaded = lw.load(model(inner=inner))

    def run(height: int, width: int, index: int) -> np.ndarray:
        feeds = {
            "x": np.full((1, 3, 1, 1), 2, np.float32),
            "index": np.array([index]),
            "like_height": np.empty((0, height), np.float32),
            "like_width": np.empty((0, width), np.float32),
        }
        return next(iter(loaded.run(feeds).values()))

    outside = 99  # the first step would refuse it
    with pytest.raises(lw.ResourceError):
        run(1 << bits, 1 << bits, outside)
    with pytest.raises(lw.LanewiseError, match="99"):
        run(5, 6, outside)
    assert run(5, 6, 0).max() == 18
