"""What a valid file may look like: order, constants, bodies, functions, inputs, metadata."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from tests.importer.models import make_model, relu_model

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def test_every_way_to_give_a_model(tmp_path: Path) -> None:
    """Path as str and PathLike, bytes, bytearray, memoryview, ModelProto."""
    model = relu_model()
    content = model.SerializeToString()
    path = tmp_path / "relu.onnx"
    path.write_bytes(content)
    for source in (path, str(path), content, bytearray(content), memoryview(content), model):
        np.testing.assert_array_equal(lw.load(source)(X), np.maximum(X, 0))


def test_bytes_outlive_their_name() -> None:
    """Weights stay in the caller's bytes, which the model keeps."""
    w = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    node = helper.make_node("Identity", ["w"], ["y"])
    model = lw.load(make_model([node], {}, ["y"], constants={"w": w}).SerializeToString())
    for _ in range(20):
        np.empty(w.size, np.float32).fill(-1)
    np.testing.assert_array_equal(model(), w)


def test_nodes_out_of_order() -> None:
    """Nodes are sorted by what they need."""
    names = ["x", "a", "b", "c", "y"]
    nodes = [helper.make_node("Neg", [i], [o]) for i, o in itertools.pairwise(names)]
    model = lw.load(make_model(nodes[::-1], {"x": X}, ["y"]))
    np.testing.assert_array_equal(model(X), X)
    assert [name for name, _ in model.nodes]


def test_body_decides_the_order() -> None:
    """A body reads a value whose maker stands later in the file."""
    then = _body("Identity", "late", "v")
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=then),
        helper.make_node("Neg", ["x"], ["late"]),
    ]
    feeds = {"c": np.array(True), "x": X}
    np.testing.assert_array_equal(lw.load(make_model(nodes, feeds, ["y"])).run(feeds)["y"], -X)


def _body(op: str, read: str, made: str, **attrs: Any) -> onnx.GraphProto:
    """A body of one node, without inputs."""
    node = helper.make_node(op, [read], [made], **attrs)
    return helper.make_graph([node], "body", [], [helper.make_empty_tensor_value_info(made)])


@pytest.mark.parametrize("condition", [True, False])
def test_bodies_capture_outer_values(condition: bool) -> None:
    """Inputs, inner values and constants of the graph around, two levels deep."""
    deep = _body("Add", "x", "v")
    deep.node[0].input.append("w")
    shallow = helper.make_graph(
        [
            helper.make_node(
                "If", ["c"], ["u"], then_branch=deep, else_branch=_body("Neg", "n", "v")
            )
        ],
        "shallow",
        [],
        [helper.make_empty_tensor_value_info("u")],
    )
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["n"]),
        helper.make_node(
            "If", ["c"], ["y"], then_branch=shallow, else_branch=_body("Abs", "n", "v")
        ),
    ]
    w = np.full((2, 3), 10, np.float32)
    feeds = {"c": np.array(condition), "x": X}
    model = lw.load(make_model(nodes, feeds, ["y"], constants={"w": w}))
    expected = X + w if condition else np.abs(X * X)
    np.testing.assert_array_equal(model.run(feeds)["y"], expected)


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"value": numpy_helper.from_array(X)}, X),
        ({"value_float": 1.5}, np.array(1.5, np.float32)),
        ({"value_floats": [1.5, 2.5]}, np.array([1.5, 2.5], np.float32)),
        ({"value_int": -3}, np.array(-3, np.int64)),
        ({"value_ints": [1, 2, 3]}, np.array([1, 2, 3], np.int64)),
        (
            {
                "sparse_value": helper.make_sparse_tensor(
                    helper.make_tensor("v", TensorProto.FLOAT, [2], [1.0, 2.0]),
                    helper.make_tensor("i", TensorProto.INT64, [2], [1, 5]),
                    [2, 3],
                )
            },
            np.array([[0, 1, 0], [0, 0, 2]], np.float32),
        ),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_constant_nodes(attrs: dict[str, Any], expected: np.ndarray[Any, Any]) -> None:
    """Every form of Constant."""
    nodes = [
        helper.make_node("Constant", [], ["c"], **attrs),
        helper.make_node("Identity", ["c"], ["y"]),
    ]
    result = lw.load(make_model(nodes, {}, ["y"]))()
    assert isinstance(result, np.ndarray) and result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_sparse_initializer_by_coordinates() -> None:
    """Indices as rows of coordinates."""
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [2, 2], [0, 1, 1, 2])
    model = make_model([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
    np.testing.assert_array_equal(lw.load(model)(), [[0, 1, 0], [0, 0, 2]])


def test_initializer_that_is_also_an_input() -> None:
    """The caller may replace it; before IR version 4 it was a plain constant."""
    w = np.ones((2, 3), np.float32)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = make_model([node], {"x": X, "w": w}, ["y"], constants={"w": w})
    loaded = lw.load(model)
    assert [(i.name, i.optional) for i in loaded.inputs] == [("x", False), ("w", True)]
    np.testing.assert_array_equal(loaded.run({"x": X})["y"], X + 1)
    np.testing.assert_array_equal(loaded.run({"x": X, "w": X})["y"], X + X)
    old = make_model([node], {"x": X, "w": w}, ["y"], constants={"w": w}, ir_version=3, opset=8)
    assert [i.name for i in lw.load(old).inputs] == ["x"]
    np.testing.assert_array_equal(lw.load(old)(X), X + 1)


def test_replaced_initializer_reaches_a_body() -> None:
    """A body that captures it sees the caller's array."""
    then = _body("Neg", "w", "v")
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=then)
    feeds = {"c": np.array(True), "w": X}
    model = lw.load(make_model([node], feeds, ["y"], constants={"w": np.ones_like(X)}))
    np.testing.assert_array_equal(model.run({"c": feeds["c"]})["y"], -np.ones_like(X))
    np.testing.assert_array_equal(model.run(feeds)["y"], -X)


def test_symbolic_and_unknown_dimensions() -> None:
    """Names, open dimensions and an open rank come out as declared."""
    infos = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, ["batch", None, 3]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("c", TensorProto.FLOAT, [-1, 2]),
    ]
    nodes = [helper.make_node("Identity", [v], [f"{v}_out"]) for v in "abc"]
    outputs = [helper.make_empty_tensor_value_info(f"{v}_out") for v in "abc"]
    model = helper.make_model(
        helper.make_graph(nodes, "g", infos, outputs),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=8,
    )
    loaded = lw.load(model)
    assert [i.shape for i in loaded.inputs] == [("batch", None, 3), None, (None, 2)]
    feeds = {"a": np.zeros((2, 5, 3), np.float32), "b": X, "c": np.zeros((4, 2), np.float32)}
    assert [v.shape for v in loaded.run(feeds).values()] == [(2, 5, 3), (2, 3), (4, 2)]


def test_metadata() -> None:
    """Producer, opsets, documentation and own entries."""
    model = relu_model(
        producer_name="maker", producer_version="3", doc_string="a note", model_version=7
    )
    onnx.helper.set_model_props(model, {"author": "someone"})
    metadata = lw.load(model).metadata
    expected = {
        "producer_name": "maker",
        "producer_version": "3",
        "doc_string": "a note",
        "graph_name": "graph",
        "model_version": "7",
        "author": "someone",
        "opset": "ai.onnx 21",
        "ir_version": "8",
    }
    assert expected.items() <= metadata.items()


def test_domain_under_its_long_name() -> None:
    """ "ai.onnx" is the default domain."""
    node = helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx")
    model = make_model([node], {"x": X}, ["y"])
    model.opset_import[0].domain = "ai.onnx"
    np.testing.assert_array_equal(lw.load(model)(X), np.maximum(X, 0))


def _function_model() -> onnx.ModelProto:
    """y = scaled(scaled(x)) with scaled(v) = v * k + v, k an attribute with default 2."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    constant = helper.make_node("Constant", [], ["k"], name="k")
    reference = constant.attribute.add(name="value_float", type=onnx.AttributeProto.FLOAT)
    reference.ref_attr_name = "factor"
    nodes = [
        constant,
        helper.make_node("Mul", ["v", "k"], ["t"]),
        helper.make_node("Add", ["t", "v"], ["out"]),
    ]
    function = helper.make_function(
        "local",
        "scaled",
        ["v"],
        ["out"],
        nodes,
        imports[:1],
        attribute_protos=[helper.make_attribute("factor", 2.0)],
    )
    calls = [
        helper.make_node("scaled", ["x"], ["t"], name="first", domain="local"),
        helper.make_node("scaled", ["t"], ["y"], name="second", domain="local", factor=-3.0),
    ]
    return make_model(calls, {"x": X}, ["y"], functions=[function], opset_imports=imports[1:])


def test_model_local_functions() -> None:
    """Calls are inlined with attributes and defaults; the inner names do not meet."""
    np.testing.assert_allclose(lw.load(_function_model())(X), X * 3 * -2)


def test_function_with_a_body() -> None:
    """A body inside a function captures the function's values."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    branch = helper.make_node(
        "If",
        ["c"],
        ["out"],
        then_branch=_body("Neg", "v", "t"),
        else_branch=_body("Identity", "v", "t"),
    )
    function = helper.make_function("local", "maybe", ["c", "v"], ["out"], [branch], imports[:1])
    calls = [
        helper.make_node("maybe", ["c", "x"], ["t"], domain="local"),
        helper.make_node("maybe", ["c", "t"], ["y"], domain="local"),
        helper.make_node("maybe", ["d", "x"], ["z"], domain="local"),
    ]
    feeds = {"c": np.array(True), "d": np.array(False), "x": X}
    model = make_model(calls, feeds, ["y", "z"], functions=[function], opset_imports=imports[1:])
    results = lw.load(model).run(feeds)
    np.testing.assert_array_equal(results["y"], X)
    np.testing.assert_array_equal(results["z"], X)


def test_function_that_returns_its_input() -> None:
    """An input handed on as an output."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    node = helper.make_node("Neg", ["v"], ["n"])
    function = helper.make_function("local", "both", ["v"], ["v", "n"], [node], imports[:1])
    call = helper.make_node("both", ["x"], ["a", "b"], domain="local")
    model = make_model(
        [call], {"x": X}, ["a", "b"], functions=[function], opset_imports=imports[1:]
    )
    results = lw.load(model).run({"x": X})
    np.testing.assert_array_equal(results["a"], X)
    np.testing.assert_array_equal(results["b"], -X)


def test_function_of_an_old_opset() -> None:
    """A function's nodes are of the opset that the function imports."""
    imports = [helper.make_opsetid("", 9), helper.make_opsetid("local", 1)]
    node = helper.make_node("Clip", ["v"], ["out"], min=0.0)
    function = helper.make_function("local", "ramp", ["v"], ["out"], [node], imports[:1])
    call = helper.make_node("ramp", ["x"], ["y"], domain="local")
    model = make_model([call], {"x": X}, ["y"], functions=[function], opset_imports=imports[1:])
    np.testing.assert_array_equal(lw.load(model)(X), np.maximum(X, 0))
