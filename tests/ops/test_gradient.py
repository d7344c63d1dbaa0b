"""Gradient of ai.onnx.preview.training against central differences in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

import lanewise as lw

Array = NDArray[Any]
TRAINING = "ai.onnx.preview.training"


def model(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], opset: int = 21, **arrays: Array
) -> onnx.ModelProto:
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in arrays.items()
    ]
    empty = [helper.make_empty_tensor_value_info(name) for name in outputs]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(TRAINING, 1)]
    return helper.make_model(helper.make_graph(nodes, "g", infos, empty), opset_imports=opsets)


def gradient(
    inputs: Sequence[str], outputs: Sequence[str], y: str, **names: Sequence[str]
) -> onnx.NodeProto:
    given = {key: value for key, value in names.items() if value}
    return helper.make_node(
        "Gradient", inputs, outputs, name="under test", domain=TRAINING, y=y, **given
    )


def node(op: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, names[:-1], names[-1:], **attributes)


def check(
    nodes: Sequence[onnx.NodeProto], y: str, xs: Sequence[str], opset: int = 21, **arrays: Array
) -> None:
    """d sum(y) / dx by differences, as the gradient starts from ones."""
    outputs = [f"d{x}" for x in xs]
    others = [name for name in arrays if name not in xs]
    order = {name: arrays[name] for name in [*xs, *others]}
    added = gradient(list(order), outputs, y, xs=list(xs), zs=others)
    session = lw.load(model([*nodes, added], [y, *outputs], opset, **order))
    got = session.run(order)
    step = 1e-6
    for x in xs:
        exact = np.zeros_like(order[x])
        for i in np.ndindex(exact.shape):
            sides = []
            for sign in (1, -1):
                moved = order[x].copy()
                moved[i] += sign * step
                sides.append(session.run({**order, x: moved})[y].sum())
            exact[i] = (sides[0] - sides[1]) / (2 * step)
        assert got[f"d{x}"].shape == order[x].shape
        np.testing.assert_allclose(got[f"d{x}"], exact, rtol=2e-6, atol=2e-7)


RNG = np.random.default_rng(0)


def drawn(*shape: int) -> Array:
    return RNG.uniform(0.5, 2.0, shape)


@pytest.mark.parametrize(
    "op",
    ["Abs", "Asinh", "Atan", "Cos", "Cosh", "Erf", "Exp", "Identity", "Log", "Neg", "Reciprocal",
     "Relu", "Sigmoid", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "Transpose",
     "Floor"],
)  # fmt: skip
def test_functions_of_one_value(op: str) -> None:
    check([node(op, "a", "y")], "y", ["a"], a=drawn(2, 3))


@pytest.mark.parametrize(
    ("op", "attributes"),
    [("Acos", {}), ("Asin", {}), ("Atanh", {}), ("Celu", {"alpha": 0.7}), ("Elu", {"alpha": 0.3}),
     ("Gelu", {}), ("Gelu", {"approximate": "tanh"}), ("HardSigmoid", {"alpha": 0.4}),
     ("HardSwish", {}), ("LeakyRelu", {"alpha": 0.2}), ("Mish", {}), ("Selu", {}),
     ("Swish", {"alpha": 0.6}), ("ThresholdedRelu", {"alpha": 0.3})],
)  # fmt: skip
def test_functions_on_both_sides_of_zero(op: str, attributes: dict[str, Any]) -> None:
    wide = 4.0 if op in {"HardSwish", "HardSigmoid"} else 0.9
    x = np.linspace(-wide, wide, 14).reshape(2, 7)
    check([node(op, "a", "y", **attributes)], "y", ["a"], opset=24, a=x)
    check([node("Acosh", "a", "y")], "y", ["a"], a=drawn(3) + 1)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow"])
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (4, 2))])
def test_broadcast_operands(op: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    check([node(op, "a", "b", "y")], "y", ["a", "b"], a=drawn(*shapes[0]), b=drawn(*shapes[1]))


def test_products_of_matrices() -> None:
    check([node("MatMul", "a", "b", "y")], "y", ["a", "b"], a=drawn(2, 3, 4), b=drawn(4, 2))
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        gemm = node("Gemm", "a", "b", "c", "y", alpha=0.5, beta=2.0, transA=a, transB=b)
        shapes = [(3, 2) if a == 0 else (2, 3), (2, 4) if b == 0 else (4, 2)]
        check([gemm], "y", ["a", "b", "c"], a=drawn(*shapes[0]), b=drawn(*shapes[1]), c=drawn(4))


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean"])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(op: str, keepdims: int) -> None:
    squared = node("Mul", "a", "a", "s")
    for axes in ([1], None):
        inputs = ["s", "axes"] if axes else ["s"]
        nodes = [squared, helper.make_node(op, inputs, ["y"], keepdims=keepdims)]
        if axes:
            nodes.insert(0, helper.make_node("Constant", [], ["axes"], value_ints=axes))
        check(nodes, "y", ["a"], a=drawn(2, 3))


def test_a_value_used_twice_and_one_that_is_not_asked_for() -> None:
    nodes = [
        node("Mul", "w", "x", "h"),
        node("Tanh", "h", "t"),
        node("Add", "t", "h", "u"),
        node("Mul", "u", "x", "y"),
    ]
    check(nodes, "y", ["w"], w=drawn(3), x=drawn(3))
    check(nodes, "y", ["x", "w"], w=drawn(3), x=drawn(3))


def test_at_other_values_and_of_an_inner_one() -> None:
    nodes = [node("Exp", "x", "h"), node("Mul", "h", "h", "y"),
             gradient(["other"], ["d"], "y", xs=["h"])]  # fmt: skip
    x, other = np.array([1.0, 2.0]), np.array([5.0, 7.0])
    got = lw.load(model(nodes, ["y", "d"], x=x, other=other)).run({"x": x, "other": other})
    np.testing.assert_allclose(got["d"], 2 * other)
    np.testing.assert_allclose(got["y"], np.exp(x) ** 2)


def test_second_derivative() -> None:
    nodes = [node("Mul", "x", "x", "s"), node("Mul", "s", "x", "y"),
             gradient(["x"], ["d"], "y", xs=["x"]),
             gradient(["x"], ["dd"], "d", xs=["x"])]  # fmt: skip
    x = np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(lw.load(model(nodes, ["dd"], x=x))(x), 6 * x)


def test_faults_are_named() -> None:
    x = drawn(2)
    nodes = [node("Det", "x", "y"), gradient(["x"], ["d"], "y", xs=["x"])]
    with pytest.raises(lw.UnsupportedError, match=r"there is no derivative of .*Det"):
        lw.load(model(nodes, ["d"], x=drawn(2, 2)))
    rows = helper.make_node("LayerNormalization", ["x", "w"], ["z", "y"])
    nodes = [rows, gradient(["x"], ["d"], "y", xs=["x"])]
    with pytest.raises(lw.UnsupportedError, match="no derivative of output 1"):
        lw.load(model(nodes, ["d"], x=drawn(2, 2), w=drawn(2)))
    nodes = [node("Pad", "x", "p", "v", "y"), gradient(["v"], ["d"], "y", xs=["v"])]
    with pytest.raises(lw.UnsupportedError, match="by its input 2"):
        lw.load(model(nodes, ["d"], x=x, p=np.array([1, 1]), v=np.array(0.0)))
    nodes = [node("Exp", "x", "y"), gradient(["x"], ["d"], "z", xs=["x"])]
    with pytest.raises(lw.ModelError, match=r"under test.*'z' does not depend"):
        lw.load(model(nodes, ["d"], x=x))
    nodes = [node("Exp", "x", "y"), gradient(["x", "x"], ["d"], "y", xs=["x"])]
    with pytest.raises(lw.ModelError, match="an input for each of 'xs' and 'zs'"):
        lw.load(model(nodes, ["d"], x=x))
