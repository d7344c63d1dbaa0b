"""Models that parse and whose graphs are broken: the error names the node and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import lanewise as lw
from lanewise import _core
from tests.importer.models import make_model, relu_model

X = {"x": np.zeros((2, 3), np.float32)}


def node(op: str, inputs: list[str], outputs: list[str], name: str = "n", **attrs: Any) -> Any:
    """A named node."""
    return helper.make_node(op, inputs, outputs, name=name, **attrs)


BROKEN: dict[str, tuple[onnx.ModelProto, str]] = {
    "cycle": (
        make_model(
            [node("Relu", ["b"], ["a"], "one"), node("Relu", ["a"], ["b"], "two")], X, ["b"]
        ),
        "the graph has a cycle: 'one' -> 'two' -> 'one'",
    ),
    "self_cycle": (
        make_model([node("Relu", ["a"], ["a"], "one")], X, ["a"]),
        "the graph has a cycle: 'one' -> 'one'",
    ),
    "dangling_input": (
        make_model([node("Relu", ["nowhere"], ["y"], "one")], X, ["y"]),
        "node 'one' (Relu): input 0 reads 'nowhere', which no node, input or initializer provides",
    ),
    "dangling_output": (
        make_model([node("Relu", ["x"], ["y"], "one")], X, ["z"]),
        "output 'z' of graph 'graph' is made by no node",
    ),
    "two_makers": (
        make_model(
            [node("Relu", ["x"], ["y"], "one"), node("Relu", ["x"], ["y"], "two")], X, ["y"]
        ),
        "node 'two' (Relu) makes 'y', which node 'one' (Relu) makes too",
    ),
    "output_twice": (
        make_model([node("Relu", ["x"], ["x"], "one")], X, ["x"]),
        "node 'one' (Relu) makes 'x', which is also a graph input",
    ),
    "wrong_attribute_type": (
        make_model([node("Flatten", ["x"], ["y"], "flat", axis=1.5)], X, ["y"]),
        "node 'flat' (Flatten): attribute 'axis' must be an int, found a float",
    ),
    "attribute_that_is_not_text": (
        make_model([node("Gelu", ["x"], ["y"], "g", approximate=b"\xff")], X, ["y"]),
        "node 'g' (Gelu): attribute 'approximate' is not UTF-8 text",
    ),
    "missing_attribute": (
        make_model([node("Concat", ["x", "x"], ["y"], "cat")], X, ["y"]),
        "node 'cat' (Concat): the required attribute 'axis' (an int) is missing",
    ),
    "unknown_attribute": (
        make_model([node("Flatten", ["x"], ["y"], "flat", axes=1)], X, ["y"]),
        "node 'flat' (Flatten): unknown attribute 'axes'; the operator has axis",
    ),
    "too_few_inputs": (
        make_model([node("Reshape", ["x"], ["y"], "view")], X, ["y"]),
        "node 'view' (Reshape): expected 2 inputs, found 1",
    ),
    "too_many_inputs": (
        make_model([node("Relu", ["x", "x"], ["y"], "one")], X, ["y"]),
        "node 'one' (Relu): expected 1 inputs, found 2",
    ),
    "required_input_left_out": (
        make_model([node("Reshape", ["", "x"], ["y"], "view")], X, ["y"]),
        "node 'view' (Reshape): input 0 is required and left out",
    ),
    "too_many_outputs": (
        make_model([node("Relu", ["x"], ["y", "z"], "one")], X, ["y"]),
        "node 'one' (Relu): expected 1 outputs, found 2",
    ),
    "old_attribute_of_wrong_type": (
        make_model([node("Squeeze", ["x"], ["y"], "s", axes="0")], X, ["y"], opset=11),
        "node 's' (Squeeze): attribute axes is of the wrong type",
    ),
    "no_outputs": (make_model([node("Relu", ["x"], ["y"])], X, []), "has no outputs"),
    "constant_without_value": (
        make_model([node("Constant", [], ["y"], "c")], {}, ["y"]),
        "node 'c' (Constant): has no value",
    ),
}


@pytest.mark.parametrize(("model", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_graph(model: onnx.ModelProto, message: str) -> None:
    """Each fault has its own message."""
    with pytest.raises(lw.ModelError, match=re.escape(message)):
        lw.load(model)


def test_initializer_given_twice() -> None:
    """Two contents for one name."""
    model = make_model([node("Identity", ["w"], ["y"])], {}, ["y"], constants={"w": np.ones(1)})
    model.graph.initializer.append(model.graph.initializer[0])
    with pytest.raises(lw.ModelError, match="initializer 'w' is given twice"):
        lw.load(model)


def test_input_given_twice() -> None:
    """Two inputs of one name."""
    model = relu_model()
    model.graph.input.append(model.graph.input[0])
    with pytest.raises(lw.ModelError, match="input 'x' is listed twice"):
        lw.load(model)


def test_input_and_initializer_disagree() -> None:
    """An initialiser that is also an input must have the type that the input declares."""
    model = make_model([node("Relu", ["x"], ["y"])], X, ["y"], constants={"x": np.ones((2, 3))})
    with pytest.raises(lw.ModelError, match="declared as float32, its initializer is float64"):
        lw.load(model)


def test_input_without_type() -> None:
    """The element type of an input cannot be guessed."""
    model = relu_model()
    model.graph.input[0].ClearField("type")
    with pytest.raises(lw.ModelError, match="input 'x' declares no element type"):
        lw.load(model)


def test_all_faults_at_once() -> None:
    """A model is mended in one round: every fault is listed."""
    nodes = [
        node("Relu", ["nowhere"], ["a"], "one"),
        node("Flatten", ["x"], ["b"], "two", axis="x"),
        node("Concat", ["a", "b"], ["y"], "three"),
    ]
    with pytest.raises(lw.ModelError, match="3 faults") as caught:
        lw.load(make_model(nodes, X, ["y"]))
    for name in ("one", "two", "three"):
        assert f"node '{name}'" in str(caught.value)


def test_all_unknown_operators_at_once() -> None:
    """The list names every node that cannot run, also inside bodies."""
    body = helper.make_graph(
        [node("InBody", ["x"], ["v"], "third")],
        "body",
        [],
        [helper.make_empty_tensor_value_info("v")],
    )
    nodes = [
        node("Unheard", ["x"], ["a"], "first"),
        node("Relu", ["a"], ["b"], "fine"),
        node("Odd", ["b"], ["c"], "second", domain="com.example"),
        node("If", ["t"], ["y"], "branch", then_branch=body, else_branch=body),
    ]
    feeds = {**X, "t": np.array(True)}
    imports = [helper.make_opsetid("com.example", 3)]
    with pytest.raises(lw.UnsupportedError, match="needs 4 things") as caught:
        lw.load(make_model(nodes, feeds, ["y", "c"], opset_imports=imports))
    assert caught.value.ops[:2] == [
        "node 'first': Unheard (ai.onnx, opset 21)",
        "node 'second': Odd (com.example, opset 3)",
    ]
    assert caught.value.ops[2] == "node 'third': InBody (ai.onnx, opset 21)"
    assert isinstance(caught.value, NotImplementedError)


def test_sequence_where_a_tensor_belongs() -> None:
    """Values that are no tensors go only where an operator takes them."""
    model = relu_model()
    type_ = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    model.graph.input[0].type.CopyFrom(type_)
    with pytest.raises(lw.ModelError, match="input 0 must be a tensor, found a sequence"):
        lw.load(model)


def test_types_nested_without_end() -> None:
    """A type within a type costs a level of the reader's own stack."""
    model = relu_model()
    type_ = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    for _ in range(90):
        type_ = helper.make_sequence_type_proto(type_)
    model.graph.input[0].type.CopyFrom(type_)
    with pytest.raises(lw.ModelError, match="nested deeper than"):
        lw.load(model)


def test_function_that_calls_itself() -> None:
    """Recursion has no end."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    call = node("f", ["x"], ["y"], "call", domain="local")
    function = helper.make_function("local", "f", ["x"], ["y"], [call], imports)
    model = make_model([call], X, ["y"], functions=[function], opset_imports=imports[1:])
    with pytest.raises(lw.ModelError, match="the function calls itself"):
        lw.load(model)


def test_names_are_safe_to_print() -> None:
    """Control characters and very long names do not reach the terminal."""
    model = make_model([node("Relu", ["\x1b[31m" + "n" * 5000], ["y"], "one")], X, ["y"])
    with pytest.raises(lw.ModelError) as caught:
        lw.load(model)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_failed_load_leaves_others_alone() -> None:
    """A model that is loaded keeps working after another one is refused."""
    good = lw.load(relu_model())
    for model, _ in BROKEN.values():
        with pytest.raises(lw.LanewiseError):
            lw.load(model)
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(good(x), np.maximum(x, 0))


def test_check_lists_faults_and_missing_operators(tmp_path: Path) -> None:
    """`check` tells all, in lines, and raises nothing."""
    nodes = [
        node("Relu", ["nowhere"], ["a"], "one"),
        node("Unheard", ["a"], ["y"], "two"),
    ]
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(nodes, X, ["y"]).SerializeToString())
    assert _core.check_file(str(path)) == [
        "node 'one' (Relu): input 0 reads 'nowhere', which no node, input or initializer provides",
        "unsupported: node 'two': Unheard (ai.onnx, opset 21)",
    ]
    path.write_bytes(relu_model().SerializeToString())
    assert _core.check_file(str(path)) == []
    path.write_bytes(b"no model")
    assert len(_core.check_file(str(path))) == 1
    assert len(_core.check_file(str(tmp_path / "absent.onnx"))) == 1
