"""Conv and lanewise:FusedConv against sums that are exact in float32, so that any order gives the
same bits: seeded shapes around the tiles' edges, every ISA, one and two threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from lanewise import _core

Ints = Sequence[int]
Array = NDArray[np.float32]
ISAS = _core.isas()


@dataclass
class Case:
    """A convolution: shapes in ONNX order, options as attributes."""

    x: Ints
    w: Ints
    strides: Ints = ()
    dilations: Ints = ()
    pads: Ints = ()
    group: int = 1
    bias: bool = True
    activation: str = ""
    residual: bool = False
    constant: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def axes(self) -> int:
        return len(self.x) - 2

    def options(self) -> dict[str, Any]:
        given: dict[str, Ints] = {
            "strides": self.strides,
            "dilations": self.dilations,
            "pads": self.pads,
        }
        return {k: list(v) for k, v in given.items() if v} | {"group": self.group} | self.attributes


def integers(rng: np.random.Generator, shape: Ints) -> Array:
    """Small integers: sums of their products are exact in float32."""
    return rng.integers(-4, 5, list(shape)).astype(np.float32)


def reference(case: Case, x: Array, w: Array) -> NDArray[np.float64]:
    """The definition, one window position at a time, in float64."""
    n = case.axes
    strides = list(case.strides) or [1] * n
    dilations = list(case.dilations) or [1] * n
    pads = list(case.pads) or [0] * (2 * n)
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(pads[:n], pads[n:], strict=True)])
    kernel = w.shape[2:]
    out = [
        (padded.shape[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
        for i in range(n)
    ]
    groups = np.split(padded, case.group, axis=1)
    filters = np.split(w.astype(np.float64), case.group, axis=0)
    parts = []
    for part, bank in zip(groups, filters, strict=True):
        total = np.zeros((x.shape[0], bank.shape[0], *out))
        for tap in np.ndindex(*kernel):
            at = [
                slice(t * d, t * d + (o - 1) * s + 1, s)
                for t, d, o, s in zip(tap, dilations, out, strides, strict=True)
            ]
            window, one = (slice(None), slice(None), *at), (slice(None), slice(None), *tap)
            total += np.einsum("nc...,oc->no...", part[window], bank[one])
        parts.append(total)
    return np.concatenate(parts, axis=1)


def activate(name: str, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The activations that keep the numbers exact."""
    if name == "Relu":
        return np.maximum(y, 0)
    if name == "LeakyRelu":
        return np.where(y < 0, 0.5 * y, y)
    if name == "Clip":
        return np.clip(y, -20, 30)
    return y


def build(case: Case, w: Array, b: Array, out: Ints) -> onnx.ModelProto:
    """Conv, then Add and an activation as nodes of their own: the engine fuses them."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(case.x))]
    weights = [numpy_helper.from_array(b, "b")]
    if case.constant:
        weights.append(numpy_helper.from_array(w, "w"))
    else:
        inputs.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, list(case.w)))
    names = ["x", "w", "b"] if case.bias else ["x", "w"]
    nodes = [helper.make_node("Conv", names, ["t0"], **case.options())]
    if case.residual:
        inputs.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, list(out)))
        nodes.append(helper.make_node("Add", ["r", "t0"], ["t1"]))
    last = nodes[-1].output[0]
    if case.activation == "Clip":
        weights += [
            numpy_helper.from_array(np.float32(-20), "low"),
            numpy_helper.from_array(np.float32(30), "high"),
        ]
        nodes.append(helper.make_node("Clip", [last, "low", "high"], ["t2"]))
    elif case.activation:
        options: dict[str, Any] = {"alpha": 0.5} if case.activation == "LeakyRelu" else {}
        nodes.append(helper.make_node(case.activation, [last], ["t2"], **options))
    nodes[-1].output[0] = "y"
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(out))
    graph = helper.make_graph(nodes, "conv", inputs, [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def check(case: Case, seed: int, force: str = "", numerics: str = "strict") -> list[str]:
    """Runs a case on every ISA with one and two threads; returns the algorithms taken."""
    rng = np.random.default_rng(seed)
    x, w, b = integers(rng, case.x), integers(rng, case.w), integers(rng, [case.w[0]])
    expected = reference(case, x, w)
    if case.bias:
        expected = expected + b.reshape(-1, *[1] * case.axes)
    r = integers(rng, expected.shape)
    if case.residual:
        expected = expected + r
    expected = activate(case.activation, expected)
    model = build(case, w, b, expected.shape)
    feeds = {"x": x, "w": w, "r": r}
    algorithms = []
    for isa in ISAS:
        for threads in (1, 2):
            loaded = lw.load(model, isa=isa, threads=threads, numerics=numerics, _force=force)
            feed = {info.name: feeds[info.name] for info in loaded.inputs}
            got = loaded.run(feed)["y"]
            np.testing.assert_array_equal(
                got, expected, f"{case} seed {seed} isa {isa} x {threads}"
            )
            layers = loaded.profile(feed, runs=1).layers
            algorithms += [layer.algorithm for layer in layers if layer.op.endswith("Conv")]
    return algorithms


CASES = {
    "one channel": Case([1, 1, 5, 5], [1, 1, 3, 3]),
    "17 channels": Case([2, 17, 9, 7], [17, 17, 3, 3], pads=[1, 1, 1, 1]),
    "one pixel": Case([1, 40, 1, 1], [33, 40, 1, 1]),
    "kernel larger than the map": Case([1, 5, 2, 3], [7, 5, 5, 5], pads=[2, 2, 2, 2]),
    "pads larger than the kernel": Case([1, 3, 4, 4], [6, 3, 2, 2], pads=[3, 4, 5, 3]),
    "stride larger than the kernel": Case([1, 20, 11, 13], [40, 20, 1, 1], strides=[3, 2]),
    "asymmetric pads": Case([1, 6, 8, 8], [9, 6, 3, 3], pads=[0, 1, 2, 0], strides=[2, 1]),
    "dilation": Case([1, 8, 12, 12], [24, 8, 3, 3], dilations=[2, 3], pads=[2, 3, 2, 3]),
    "groups": Case([2, 12, 6, 6], [18, 4, 3, 3], group=3, pads=[1, 1, 1, 1]),
    "many groups": Case([1, 64, 7, 7], [64, 2, 3, 3], group=32, pads=[1, 1, 1, 1]),
    "depthwise": Case([1, 19, 7, 7], [19, 1, 3, 3], group=19, pads=[1, 1, 1, 1], strides=[2, 2]),
    "depthwise, two filters each": Case([1, 5, 6, 6], [10, 1, 3, 3], group=5),
    "groups, weights computed": Case([1, 8, 6, 6], [8, 4, 3, 3], group=2, constant=False),
    "weights computed": Case([1, 30, 7, 7], [70, 30, 3, 3], constant=False, bias=False),
    "first layer": Case([1, 3, 33, 29], [32, 3, 7, 7], strides=[2, 2], pads=[3, 3, 3, 3]),
    "first layer, narrow": Case([2, 3, 9, 2], [8, 3, 3, 3], pads=[1, 1, 1, 1]),
    "one axis": Case([2, 10, 37], [21, 10, 5], pads=[2, 2], strides=[2]),
    "three axes": Case(
        [1, 4, 5, 6, 7], [9, 4, 3, 2, 3], pads=[1, 0, 1, 1, 1, 1], strides=[1, 2, 1]
    ),
    "long sums": Case([1, 600, 5, 5], [70, 600, 3, 3], pads=[1, 1, 1, 1]),
    "many rows": Case([3, 8, 31, 31], [16, 8, 3, 3], pads=[1, 1, 1, 1]),
}


@pytest.mark.parametrize("name", CASES)
def test_exact(name: str) -> None:
    check(CASES[name], 1)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Clip"])
def test_fused(activation: str, residual: bool) -> None:
    for name in ("17 channels", "one pixel", "groups", "first layer", "long sums"):
        case = CASES[name]
        check(replace(case, activation=activation, residual=residual), 2)


def random_case(rng: np.random.Generator) -> Case:
    """Sizes around the edges of tiles, vectors and blocks."""
    axes = int(rng.integers(1, 4))
    group = int(rng.choice([1, 1, 2, 3, 8]))
    most = 40 if group == 1 else 9
    channels, outputs = int(rng.integers(1, most)), int(rng.integers(1, 2 * most))
    kernel = rng.integers(1, 5, axes)
    dilations, strides = rng.integers(1, 3, axes), rng.integers(1, 4, axes)
    pads = rng.integers(0, 4, 2 * axes)
    extent = (kernel - 1) * dilations + 1
    size = np.maximum(
        rng.integers(1, [60, 18, 8][axes - 1], axes), extent - pads[:axes] - pads[axes:]
    )
    return Case(
        [int(rng.integers(1, 4)), channels * group, *size.tolist()],
        [outputs * group, channels, *kernel.tolist()],
        strides=strides.tolist(),
        dilations=dilations.tolist(),
        pads=pads.tolist(),
        group=group,
        bias=bool(rng.integers(2)),
        activation=str(rng.choice(["", "Relu", "Clip"])),
        residual=bool(rng.integers(2)),
        constant=bool(rng.integers(4)),
    )


@pytest.mark.parametrize("seed", range(40))
def test_random(seed: int) -> None:
    check(random_case(np.random.default_rng(seed)), seed)


@pytest.mark.parametrize(
    ("force", "name"),
    [
        ("direct", "first layer"),
        ("direct by rows", "first layer"),
        ("generic", "first layer"),
        ("direct", "depthwise"),
        ("depthwise", "depthwise"),
        ("direct", "many groups"),
        ("grouped", "many groups"),
        ("pointwise", "stride larger than the kernel"),
    ],
)
def test_forced(force: str, name: str) -> None:
    taken = check(CASES[name], 3, force)
    assert set(taken) == {force}


def test_groups_share_vectors() -> None:
    for size, group in ((2, 13), (4, 9), (8, 5)):
        shape = [size * group, size, 3, 3]
        case = Case(
            [2, size * group, 7, 6], shape, group=group, pads=[1, 1, 1, 1], activation="Relu"
        )
        check(case, size, "grouped")


@pytest.mark.parametrize("mode", ["VALID", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [1, 2])
def test_auto_pad(mode: str, stride: int) -> None:
    size, kernel = 8, 3
    total = 0 if mode == "VALID" else max(0, (-(-size // stride) - 1) * stride + kernel - size)
    begin = total - total // 2 if mode == "SAME_LOWER" else total // 2
    explicit = Case([1, 4, size], [5, 4, kernel], [stride], pads=[begin, total - begin])
    rng = np.random.default_rng(4)
    x, w = integers(rng, explicit.x), integers(rng, explicit.w)
    expected = reference(explicit, x, w)
    implicit = Case(explicit.x, explicit.w, [stride], bias=False, attributes={"auto_pad": mode})
    model = build(implicit, w, integers(rng, [5]), expected.shape)
    np.testing.assert_array_equal(lw.load(model)(x), expected)


def test_empty_batch() -> None:
    case = Case([0, 4, 5, 5], [6, 4, 3, 3])
    model = build(case, np.ones(case.w, np.float32), np.ones(6, np.float32), [0, 6, 3, 3])
    got = lw.load(model).run({"x": np.zeros(case.x, np.float32)})["y"]
    assert got.shape == (0, 6, 3, 3)


def test_float64() -> None:
    case = Case([2, 6, 7, 8], [8, 3, 3, 2], group=2, strides=[2, 1], pads=[1, 0, 1, 1])
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal(list(case.x)), rng.standard_normal(list(case.w))
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.DOUBLE, list(case.x)),
        helper.make_tensor_value_info("w", TensorProto.DOUBLE, list(case.w)),
    ]
    node = helper.make_node("Conv", ["x", "w"], ["y"], **case.options())
    y = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    graph = helper.make_graph([node], "conv", inputs, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    n = case.axes
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 1)])
    out = [(padded.shape[2] - 3) // 2 + 1, padded.shape[3] - 1]
    expected = np.zeros((2, 8, *out))
    for o in range(8):
        part = padded[:, o // 4 * 3 : o // 4 * 3 + 3]
        for i, j in np.ndindex(*case.w[2:]):
            window = part[:, :, i : i + 2 * out[0] - 1 : 2, j : j + out[1]]
            expected[:, o] += np.einsum("nchw,c->nhw", window, w[o, :, i, j])
    assert n == 2
    np.testing.assert_allclose(lw.load(model)(x, w), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ([1, 4, 5, 5], [6, 3, 3, 3], {}, "channels"),
        ([1, 4, 5, 5], [6, 2, 3, 3], {"group": 4}, "group"),
        ([1, 4, 5, 5], [6, 4, 7, 3], {}, "spans 7 positions"),
        ([1, 4, 5, 5], [6, 4, 3, 3], {"strides": [0, 1]}, "strides"),
        ([1, 4, 5, 5], [6, 4, 3, 3], {"pads": [1, 1]}, "pads"),
        ([1, 4, 5, 5], [6, 4, 3, 3], {"auto_pad": "SOME"}, "auto_pad"),
        ([1, 4, 5, 5], [6, 4, 3], {}, "input 1"),
    ],
)
def test_messages(x: Ints, w: Ints, options: dict[str, Any], message: str) -> None:
    case = Case(x, w, attributes=options, bias=False)
    node = helper.make_node("Conv", ["x", "w"], ["y"], **options)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, list(case.x)),
        helper.make_tensor_value_info("w", TensorProto.FLOAT, list(case.w)),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "conv", inputs, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    with pytest.raises(lw.ModelError, match=message):
        lw.load(model)(np.zeros(x, np.float32), np.zeros(w, np.float32))


FEW_OUTPUTS = {
    "9 x 9": Case([1, 64, 20, 19], [3, 64, 9, 9], pads=[4, 4, 4, 4], bias=True),
    "one output": Case([2, 7, 5, 33], [1, 7, 3, 3], pads=[0, 2, 1, 0]),
    "dilation": Case([1, 5, 12, 9], [4, 5, 2, 3], dilations=[2, 3], pads=[1, 5, 0, 4]),
    "stride along the height": Case([1, 6, 9, 9], [2, 6, 3, 2], strides=[2, 1]),
    "kernel wider than the map": Case([1, 5, 3, 2], [4, 5, 3, 5], pads=[1, 2, 1, 3]),
    "three axes": Case([1, 4, 3, 4, 6], [3, 4, 2, 3, 3], pads=[1, 0, 1, 0, 1, 1]),
}


@pytest.mark.parametrize("name", FEW_OUTPUTS)
def test_few_outputs(name: str) -> None:
    """A vector of outputs that is mostly empty: the kernel's columns fill it."""
    for seed, activation in enumerate(["", "Relu", "LeakyRelu"]):
        case = replace(FEW_OUTPUTS[name], activation=activation, residual=seed == 1)
        assert set(check(case, seed, "few outputs", "fast")) == {"few outputs"}


def test_few_outputs_is_chosen() -> None:
    case = Case([1, 64, 32, 32], [3, 64, 9, 9], pads=[4, 4, 4, 4])
    assert set(check(case, 1, "", "fast")) == {"few outputs"}
    assert "few outputs" not in check(case, 1)  # strict numerics
