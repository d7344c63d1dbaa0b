"""Gradient through a network's layers and through what moves elements, by central differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

import lanewise as lw
from tests.ops.test_gradient import Array, check, drawn, gradient, model, node


def weighted(nodes: list[Any], result: str = "z") -> list[Any]:
    """Nodes whose result y is z times itself: derivatives then differ from place to place."""
    return [*nodes, node("Mul", result, result, "y")]


def signed(*shape: int) -> Array:
    return (
        np.random.default_rng(7).permutation(np.linspace(-2, 2, int(np.prod(shape)))).reshape(shape)
    )


CONVS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 2, 6), (3, 2, 3), {"strides": [2], "pads": [1, 0]}),
    ((1, 4, 5, 6), (6, 2, 3, 2), {"group": 2, "dilations": [2, 1], "pads": [1, 1, 0, 1]}),
    ((2, 3, 5, 5), (3, 1, 3, 3), {"group": 3, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ((1, 1, 3, 4, 3), (2, 1, 2, 2, 2), {}),
]


@pytest.mark.parametrize(("x", "w", "attributes"), CONVS)
def test_convolution(x: tuple[int, ...], w: tuple[int, ...], attributes: dict[str, Any]) -> None:
    nodes = weighted([node("Conv", "x", "w", "b", "z", **attributes)])
    check(nodes, "y", ["x", "w", "b"], x=signed(*x), w=drawn(*w), b=drawn(w[0]))
    check(nodes, "y", ["w"], x=signed(*x), w=drawn(*w), b=drawn(w[0]))


@pytest.mark.parametrize(
    "attributes", [{}, {"strides": [2, 2], "output_padding": [1, 0], "pads": [1, 0, 0, 1]}]
)
def test_transposed_convolution(attributes: dict[str, Any]) -> None:
    nodes = weighted([node("ConvTranspose", "x", "w", "b", "z", group=2, **attributes)])
    check(nodes, "y", ["x", "w", "b"], x=signed(1, 4, 3, 3), w=drawn(4, 3, 3, 2), b=drawn(6))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "attributes",
    [{"kernel_shape": [2, 3]}, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
     {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1},
     {"kernel_shape": [2, 2], "dilations": [2, 1], "auto_pad": "SAME_LOWER"}],
)  # fmt: skip
def test_pooling(op: str, attributes: dict[str, Any]) -> None:
    check(weighted([node(op, "x", "z", **attributes)]), "y", ["x"], x=signed(2, 2, 5, 6))
    if op == "AveragePool" and "pads" in attributes:
        padded = node(op, "x", "z", count_include_pad=1, **attributes)
        check(weighted([padded]), "y", ["x"], x=signed(2, 2, 5, 6))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling(op: str) -> None:
    check(weighted([node(op, "x", "z")]), "y", ["x"], x=signed(2, 3, 4, 2))


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax(op: str, axis: int) -> None:
    check(weighted([node(op, "x", "z", axis=axis)]), "y", ["x"], x=signed(2, 3, 4))


def test_batch_norm() -> None:
    x, parameters = signed(4, 3, 2), {k: drawn(3) for k in ("s", "b", "m", "v")}
    names = ["x", *parameters]
    plain = weighted([node("BatchNormalization", *names, "z", epsilon=0.01)])
    check(plain, "y", names, x=x, **parameters)
    training = helper.make_node("BatchNormalization", names, ["z", "rm", "rv"], training_mode=1)
    check(weighted([training]), "y", ["x", "s", "b"], x=x, **parameters)


@pytest.mark.parametrize(
    ("op", "axis"),
    [("LayerNormalization", -1), ("LayerNormalization", 1), ("RMSNormalization", -2)],
)
def test_row_norms(op: str, axis: int) -> None:
    names = ["x", "s", "b"][: 3 if op == "LayerNormalization" else 2]
    arrays = {"x": signed(2, 3, 4), "s": drawn(3, 4), "b": drawn(4)}
    nodes = weighted([node(op, *names, "z", axis=axis)])
    check(nodes, "y", names, opset=24, **{name: arrays[name] for name in names})


@pytest.mark.parametrize(
    ("op", "attributes"), [("InstanceNormalization", {}), ("GroupNormalization", {"num_groups": 2})]
)
def test_channel_norms(op: str, attributes: dict[str, Any]) -> None:
    nodes = weighted([node(op, "x", "s", "b", "z", **attributes)])
    check(nodes, "y", ["x", "s", "b"], x=signed(2, 4, 3), s=drawn(4), b=drawn(4))


@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignored", [{}, {"ignore_index": 2}, {"ignore_index": -1}])
@pytest.mark.parametrize("weighs", [False, True])
def test_losses(op: str, reduction: str, ignored: dict[str, int], weighs: bool) -> None:
    targets = np.array([[0, 2], [1, 2], [ignored.get("ignore_index", 1), 0]])
    arrays = {"t": targets, "w": drawn(4)} if weighs else {"t": targets}
    loss = node(op, "x", *arrays, "z", reduction=reduction, **ignored)
    check(weighted([loss]), "y", ["x"], x=signed(3, 4, 2), **arrays)


def test_dropout() -> None:
    x = signed(40)
    ratio, training = np.array(0.25), np.array(True)
    forward = helper.make_node("Dropout", ["x", "r", "t"], ["y", "mask"], seed=3)
    added = gradient(["x", "r", "t"], ["d"], "y", xs=["x"], zs=["r", "t"])
    whole = model([forward, added], ["y", "mask", "d"], x=x, r=ratio, t=training)
    got = lw.load(whole).run({"x": x, "r": ratio, "t": training})
    np.testing.assert_allclose(got["d"], got["mask"] / 0.75)
    check(weighted([node("Dropout", "x", "z")]), "y", ["x"], x=x)


MOVES: list[tuple[str, dict[str, Array], dict[str, Any]]] = [
    ("Gather", {"i": np.array([[2, 0], [2, -1]])}, {"axis": 1}),
    ("GatherElements", {"i": np.array([[[2, 0, 2]], [[1, 1, -3]]])}, {"axis": 1}),
    ("GatherND", {"i": np.array([[1, 2], [0, -1], [1, 2]])}, {}),
    ("Slice", {"a": np.array([2, 3]), "e": np.array([0, 9]), "x": np.array([1, 2]),
               "s": np.array([-1, 1])}, {}),
    ("Tile", {"n": np.array([1, 2, 3])}, {}),
    ("Pad", {"p": np.array([0, 1, 2, 1, 0, -1]), "v": np.array(5.0)}, {}),
    ("Pad", {"p": np.array([0, 1, 2, 0, 2, 1])}, {"mode": "reflect"}),
    ("Trilu", {"k": np.array(1)}, {"upper": 0}),
    ("ReverseSequence", {"n": np.array([1, 3])}, {"time_axis": 1, "batch_axis": 0}),
    ("CenterCropPad", {"n": np.array([2, 6])}, {"axes": [1, 2]}),
    ("Compress", {"c": np.array([True, False, True])}, {"axis": 1}),
    ("Expand", {"n": np.array([2, 2, 3, 4])}, {}),
    ("Reshape", {"n": np.array([4, -1])}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "inputs", "attributes"), MOVES)
def test_moves(op: str, inputs: dict[str, Array], attributes: dict[str, Any]) -> None:
    arrays = {f"i{k}": v for k, v in inputs.items()}
    nodes = weighted([node(op, "a", *arrays, "z", **attributes)])
    check(nodes, "y", ["a"], a=signed(2, 3, 4), **arrays)


@pytest.mark.parametrize("op", ["DepthToSpace", "SpaceToDepth"])
def test_blocks(op: str) -> None:
    check(weighted([node(op, "a", "z", blocksize=2)]), "y", ["a"], a=signed(1, 4, 2, 4))


def test_nearest_pixels() -> None:
    nodes = weighted([node("Resize", "a", "", "s", "z", mode="nearest")])
    scales = np.array([1, 1, 1.5, 2], np.float32)
    check(nodes, "y", ["a"], a=signed(1, 2, 2, 3), s=scales)
    linear = [node("Resize", "a", "", "s", "y", mode="linear"),
              gradient(["a", "s"], ["d"], "y", xs=["a"], zs=["s"])]  # fmt: skip
    with pytest.raises(lw.UnsupportedError, match="but for nearest pixels"):
        lw.load(model(linear, ["d"], a=signed(1, 2, 2, 3), s=scales))


def test_joined_and_cut() -> None:
    joined = weighted([node("Concat", "a", "b", "z", axis=1)])
    check(joined, "y", ["a", "b"], a=signed(2, 3), b=drawn(2, 2))
    check(joined, "y", ["b"], a=signed(2, 3), b=drawn(2, 2))
    cut = helper.make_node("Split", ["a", "n"], ["p", "q", "r"], axis=1)
    nodes = [cut, node("Mul", "p", "r", "s"), node("Exp", "s", "y")]  # q is not used
    check(nodes, "y", ["a"], a=signed(2, 5), n=np.array([2, 1, 2]))


def test_choices() -> None:
    a, b = signed(2, 3), signed(2, 3)[::-1] + 0.1
    for op in ("Max", "Min", "Mean", "Sum"):
        check(weighted([node(op, "a", "b", "z")]), "y", ["a", "b"], a=a, b=b)
    check(weighted([node("Where", "c", "a", "b", "z")]), "y", ["a", "b"], c=a > 0, a=a, b=b[0])
    check(weighted([node("PRelu", "a", "s", "z")]), "y", ["a", "s"], a=a, s=drawn(3))
    check(weighted([node("Clip", "a", "l", "h", "z")]), "y", ["a", "l", "h"], a=a,
          l=np.array(-1.0), h=np.array(0.5))  # fmt: skip
    check(weighted([node("Clip", "a", "", "h", "z")]), "y", ["a"], a=a, h=np.array(0.5))
    check([node("Cast", "a", "w", to=11), *weighted([node("Exp", "w", "z")])], "y", ["a"], a=a)


@pytest.mark.parametrize(
    "op", ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMin",
           "ReduceSumSquare"]
)  # fmt: skip
@pytest.mark.parametrize("keepdims", [0, 1])
def test_more_reductions(op: str, keepdims: int) -> None:
    x = drawn(2, 3, 2) if op == "ReduceLogSum" else signed(2, 3, 2)
    nodes = weighted([node(op, "x", "axes", "z", keepdims=keepdims)])
    check(nodes, "y", ["x"], x=x, axes=np.array([0, 2]))
    check(weighted([node(op, "x", "z", keepdims=keepdims)]), "y", ["x"], x=x)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_running_sums(exclusive: int, reverse: int) -> None:
    nodes = weighted([node("CumSum", "x", "axis", "z", exclusive=exclusive, reverse=reverse)])
    check(nodes, "y", ["x"], x=signed(2, 4), axis=np.array(1))


def test_a_small_network() -> None:
    """A convolution with batch normalisation, pooling, a dense layer and a loss, as exported."""
    rng = np.random.default_rng(1)
    arrays: dict[str, Array] = {
        "x": rng.normal(size=(3, 2, 6, 6)), "w": rng.normal(size=(4, 2, 3, 3)),
        "s": drawn(4), "b": drawn(4), "m": np.zeros(4), "v": np.ones(4),
        "f": rng.normal(size=(5, 36)), "c": drawn(5), "t": np.array([0, 4, 2]),
    }  # fmt: skip
    nodes = [
        node("Conv", "x", "w", "h1", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["h1", "s", "b", "m", "v"], ["h2", "rm", "rv"],
                         training_mode=1),
        node("Relu", "h2", "h3"),
        node("MaxPool", "h3", "h4", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "h4", "h5"),
        node("Gemm", "h5", "f", "c", "h6", transB=1),
        node("SoftmaxCrossEntropyLoss", "h6", "t", "y"),
    ]  # fmt: skip
    check(nodes, "y", ["w", "s", "b", "f", "c"], **arrays)
