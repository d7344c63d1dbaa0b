"""Models as ONNX Runtime's optimiser rewrites them, com.microsoft's operators included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

Node = helper.make_node
HIDDEN, HEADS, ROWS = 32, 4, 6


def model_of(
    nodes: list[onnx.NodeProto], shape: list[int], constants: dict[str, NDArray[Any]]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def encoder() -> onnx.ModelProto:
    """A layer of a transformer as PyTorch exports it, from elementary operators."""
    rng = np.random.default_rng(0)
    size = HIDDEN // HEADS
    constants: dict[str, NDArray[Any]] = {
        "heads": np.array([0, 0, HEADS, size]),
        "rows": np.array([0, 0, HIDDEN]),
        "root": np.array(np.sqrt(size), np.float32),
        "two": np.array(np.sqrt(2), np.float32),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
        "up": rng.normal(0, 0.2, (HIDDEN, 64)).astype(np.float32),
        "up_b": rng.normal(0, 0.2, 64).astype(np.float32),
        "down": rng.normal(0, 0.2, (64, HIDDEN)).astype(np.float32),
        "down_b": rng.normal(0, 0.2, HIDDEN).astype(np.float32),
    }
    nodes = []
    for name in ("q", "k", "v", "o"):
        constants[f"w{name}"] = rng.normal(0, 0.2, (HIDDEN, HIDDEN)).astype(np.float32)
        constants[f"b{name}"] = rng.normal(0, 0.2, HIDDEN).astype(np.float32)
    for i in (1, 2):
        constants[f"g{i}"] = rng.normal(1, 0.1, HIDDEN).astype(np.float32)
        constants[f"c{i}"] = rng.normal(0, 0.1, HIDDEN).astype(np.float32)
    for name in "qkv":
        perm = [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
        nodes += [
            Node("MatMul", ["x", f"w{name}"], [f"{name}0"]),
            Node("Add", [f"b{name}", f"{name}0"], [f"{name}1"]),
            Node("Reshape", [f"{name}1", "heads"], [f"{name}2"]),
            Node("Transpose", [f"{name}2"], [name], perm=perm),
        ]
    nodes += [
        Node("MatMul", ["q", "k"], ["s0"]),
        Node("Div", ["s0", "root"], ["s1"]),
        Node("Softmax", ["s1"], ["p"], axis=-1),
        Node("MatMul", ["p", "v"], ["a0"]),
        Node("Transpose", ["a0"], ["a1"], perm=[0, 2, 1, 3]),
        Node("Reshape", ["a1", "rows"], ["a2"]),
        Node("MatMul", ["a2", "wo"], ["a3"]),
        Node("Add", ["bo", "a3"], ["a4"]),
        Node("Add", ["a4", "x"], ["a5"]),
        Node("LayerNormalization", ["a5", "g1", "c1"], ["n"], epsilon=1e-5),
        Node("MatMul", ["n", "up"], ["f0"]),
        Node("Add", ["f0", "up_b"], ["f1"]),
        Node("Div", ["f1", "two"], ["f2"]),
        Node("Erf", ["f2"], ["f3"]),
        Node("Add", ["f3", "one"], ["f4"]),
        Node("Mul", ["f1", "f4"], ["f5"]),
        Node("Mul", ["f5", "half"], ["f6"]),
        Node("MatMul", ["f6", "down"], ["f7"]),
        Node("Add", ["f7", "down_b"], ["f8"]),
        Node("Add", ["f8", "n"], ["f9"]),
        Node("LayerNormalization", ["f9", "g2", "c2"], ["y"], epsilon=1e-5),
    ]
    return model_of(nodes, [2, ROWS, HIDDEN], constants)


def convolutions() -> onnx.ModelProto:
    """Convolutions with activations and a residual."""
    rng = np.random.default_rng(1)
    constants: dict[str, NDArray[Any]] = {
        "w0": rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
        "w1": rng.normal(0, 0.2, (8, 8, 3, 3)).astype(np.float32),
        "w2": rng.normal(0, 0.2, (8, 8, 1, 1)).astype(np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
    }
    nodes = [
        Node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1]),
        Node("Relu", ["a"], ["b"]),
        Node("Conv", ["b", "w1"], ["c"], pads=[1, 1, 1, 1]),
        Node("Add", ["c", "b"], ["d"]),
        Node("LeakyRelu", ["d"], ["e"], alpha=0.2),
        Node("Conv", ["e", "w2"], ["f"]),
        Node("Clip", ["f", "low", "high"], ["y"]),
    ]
    return model_of(nodes, [1, 3, 10, 9], constants)


@pytest.mark.parametrize(
    ("make", "fused"),
    [(encoder, {"FusedMatMul", "Gelu", "SkipLayerNormalization"}), (convolutions, {"FusedConv"})],
)
def test_optimised(make: Any, fused: set[str], tmp_path: Path) -> None:
    model = make()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    session = ort.InferenceSession(model.SerializeToString(), options)
    optimised = onnx.load(tmp_path / "optimised.onnx")
    assert fused <= {node.op_type for node in optimised.graph.node if node.domain}
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(2).normal(0, 1, shape).astype(np.float32)
    want = session.run(None, {"x": x})[0]
    for proto in (model, optimised):
        np.testing.assert_allclose(lw.load(proto)(x), want, rtol=0, atol=2e-5)
