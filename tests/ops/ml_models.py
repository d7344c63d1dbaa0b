"""Seeded one-node models of ai.onnx.ml, and onnxruntime's results for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import lanewise as lw

Array = NDArray[Any]
CODES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(object): 8}


def model(
    op: str,
    inputs: Sequence[Any],
    outputs: Sequence[int] = (TensorProto.FLOAT,),
    ml: int = 3,
    **attributes: Any,
) -> onnx.ModelProto:
    """One node "under test" over tensors x0, x1, ...; `outputs` are element types."""
    names = [f"x{i}" for i in range(len(inputs))]
    infos = [
        helper.make_tensor_value_info(
            name,
            8 if x.dtype == object else helper.np_dtype_to_tensor_dtype(x.dtype),
            [None] * x.ndim,
        )
        for name, x in zip(names, inputs, strict=True)
    ]
    results = [f"y{i}" for i in range(len(outputs))]
    node = helper.make_node(
        op, names, results, name="under test", domain="ai.onnx.ml", **attributes
    )
    made = [
        helper.make_tensor_value_info(name, code, None)
        for name, code in zip(results, outputs, strict=True)
    ]
    graph = helper.make_graph([node], "g", infos, made)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", ml)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def run(proto: onnx.ModelProto, inputs: Sequence[Any]) -> list[Any]:
    feeds = {f"x{i}": x for i, x in enumerate(inputs)}
    return list(lw.load(proto).run(feeds).values())


def fails(op: str, inputs: Sequence[Any], match: str, **options: Any) -> None:
    """Asserts that the node is refused with a message that names it and matches."""
    with pytest.raises(lw.LanewiseError, match=match) as error:
        run(model(op, inputs, **options), inputs)
    assert "under test" in str(error.value)


def oracle(proto: onnx.ModelProto, inputs: Sequence[Any]) -> list[Any]:
    """onnxruntime's results; the test is skipped where it is missing."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    result: list[Any] = session.run(None, {f"x{i}": x for i, x in enumerate(inputs)})
    return result


def agree(proto: onnx.ModelProto, inputs: Sequence[Any], rtol: float = 2e-5) -> None:
    """Asserts that results are onnxruntime's: texts and integers exactly, floats within rtol."""
    for got, wanted in zip(run(proto, inputs), oracle(proto, inputs), strict=True):
        assert got.shape == wanted.shape
        if wanted.dtype.kind == "f":
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol)
        else:
            assert got.tolist() == wanted.tolist()


def rows(seed: int, *shape: int, dtype: str = "float32") -> Array:
    return (np.random.default_rng(seed).normal(size=shape) * 3).astype(dtype)


def forest(
    seed: int, trees: int, features: int, targets: Sequence[int], depth: int = 4, low: float = -1.0
) -> tuple[dict[str, list[Any]], list[tuple[int, int, int, float]]]:
    """Random trees as nodes_* attributes, and the votes (tree, node, target, weight) of leaves."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, list[Any]] = {
        f"nodes_{name}": []
        for name in (
            "treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids",
            "missing_value_tracks_true",
        )
    }  # fmt: skip
    votes: list[tuple[int, int, int, float]] = []
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]

    def grow(tree: int, level: int) -> int:
        at = len([t for t in nodes["nodes_treeids"] if t == tree])
        leaf = level == 0 or (level < depth and rng.random() < 0.2)
        row = len(nodes["nodes_treeids"])
        values = (
            tree, at, int(rng.integers(features)), "LEAF" if leaf else str(rng.choice(modes)),
            float(np.float32(np.round(rng.normal() * 3))), 0, 0, int(rng.integers(2)),
        )  # fmt: skip
        for column, value in zip(nodes.values(), values, strict=True):
            column.append(value)
        if leaf:
            for target in targets:
                if rng.random() < 0.8 or target == targets[0]:
                    votes.append((tree, at, target, float(np.float32(rng.uniform(low, 1)))))
        else:
            nodes["nodes_truenodeids"][row] = grow(tree, level - 1)
            nodes["nodes_falsenodeids"][row] = grow(tree, level - 1)
        return at

    for tree in range(trees):
        grow(tree, depth)
    return nodes, votes


def voted(prefix: str, votes: list[tuple[int, int, int, float]]) -> dict[str, list[Any]]:
    """The votes as attributes class_* or target_*."""
    names = ("treeids", "nodeids", "ids", "weights")
    return {f"{prefix}_{name}": [vote[i] for vote in votes] for i, name in enumerate(names)}
