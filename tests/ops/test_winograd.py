"""Winograd convolution against float64: layers of published networks and edges of tiles, on every
ISA; which numerics allow it; the same bits for any number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from lanewise import _core

ISAS = _core.isas()
ALGORITHMS = ("winograd 2x2", "winograd 4x4")
# Of the largest output. F(4x4) loses about 2 bits more than F(2x2).
BOUND = {"winograd 2x2": 5e-6, "winograd 4x4": 2e-5}

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A 3 x 3 convolution of stride 1: sizes, pads (begins, then ends), what follows it."""

    channels: int
    outputs: int
    height: int
    width: int
    batch: int = 1
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    bias: bool = True
    residual: bool = False
    activation: str = ""

    @property
    def out(self) -> tuple[int, int, int, int]:
        """Shape of the output."""
        top, left, bottom, right = self.pads
        return (
            self.batch,
            self.outputs,
            self.height + top + bottom - 2,
            self.width + left + right - 2,
        )


def draw(case: Case, seed: int) -> dict[str, Array]:
    """Activations as after a Relu, weights as He et al. (2015) draw them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((case.batch, case.channels, case.height, case.width))
    w = rng.standard_normal((case.outputs, case.channels, 3, 3)) * np.sqrt(2 / (9 * case.channels))
    arrays = {
        "x": np.maximum(x, 0),
        "w": w,
        "b": rng.standard_normal(case.outputs),
        "r": rng.standard_normal(case.out),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def model_of(case: Case, arrays: dict[str, Array], constant: bool = True) -> onnx.ModelProto:
    """Conv, Add and an activation, which the engine fuses."""
    names = ["x"] + ["r"] * case.residual + ["w"] * (not constant)
    shapes = {
        "x": (case.batch, case.channels, case.height, case.width),
        "r": case.out,
        "w": arrays["w"].shape,
    }
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(shapes[n])) for n in names]
    weights = [numpy_helper.from_array(arrays[n], n) for n in ("w", "b") if constant or n == "b"]
    nodes = [
        helper.make_node(
            "Conv", ["x", "w", "b"] if case.bias else ["x", "w"], ["t0"], pads=list(case.pads)
        )
    ]
    if case.residual:
        nodes.append(helper.make_node("Add", ["t0", "r"], ["t1"]))
    if case.activation:
        nodes.append(helper.make_node(case.activation, [nodes[-1].output[0]], ["t2"]))
    nodes[-1].output[0] = "y"
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(case.out))
    graph = helper.make_graph(nodes, "winograd", inputs, [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def reference(case: Case, arrays: dict[str, Array]) -> NDArray[np.float64]:
    """The definition in float64."""
    top, left, bottom, right = case.pads
    pads = [(0, 0), (0, 0), (top, bottom), (left, right)]
    x, w = np.pad(arrays["x"].astype(np.float64), pads), arrays["w"].astype(np.float64)
    n, k, height, width = case.out
    y = np.zeros((n, height, width, k))
    for i, j in np.ndindex(3, 3):
        part = x[:, :, i : i + height, j : j + width].transpose(0, 2, 3, 1)
        y += part @ w[:, :, i, j].T
    y = y.transpose(0, 3, 1, 2)
    if case.bias:
        y = y + arrays["b"].reshape(-1, 1, 1)
    if case.residual:
        y = y + arrays["r"]
    if case.activation == "Relu":
        return np.maximum(y, 0)
    if case.activation == "Tanh":
        return np.tanh(y)
    return y


def layers(model: lw.Model, feed: dict[str, Array]) -> list[tuple[str, dict[str, str]]]:
    """Algorithm and refusals of each convolution."""
    found = model.profile(feed, runs=1).layers
    return [(i.algorithm, dict(i.refused)) for i in found if i.op.endswith("Conv")]


def check(case: Case, seed: int, isas: Sequence[str] = tuple(ISAS)) -> None:
    """Both algorithms on each ISA, with one and three threads."""
    arrays = draw(case, seed)
    expected = reference(case, arrays)
    model = model_of(case, arrays)
    for isa in isas:
        for algorithm in ALGORITHMS:
            results = []
            for threads in (1, 3):
                loaded = lw.load(model, isa=isa, threads=threads, _force=algorithm)
                feed = {i.name: arrays[i.name] for i in loaded.inputs}
                assert [name for name, _ in layers(loaded, feed)] == [algorithm]
                results.append(loaded.run(feed)["y"])
            error = np.abs(results[0] - expected).max() / np.abs(expected).max()
            where = f"{case} seed {seed} isa {isa} {algorithm}"
            assert error < BOUND[algorithm], f"{where}: error {error:.1e} of the largest output"
            np.testing.assert_array_equal(results[0], results[1], where)


# Of VGG and ResNet; where maps are large, with fewer channels.
LAYERS = [(64, 56), (128, 28), (256, 14), (512, 7), (16, 224), (32, 112), (256, 28), (512, 14)]


@pytest.mark.parametrize(("channels", "size"), LAYERS)
def test_published_layers(channels: int, size: int) -> None:
    check(Case(channels, channels, size, size, activation="Relu"), channels + size)


EDGES = {
    "one pixel": Case(5, 7, 1, 1),
    "three outputs": Case(17, 3, 9, 7),
    "three channels": Case(3, 33, 12, 12, bias=False),
    "one channel": Case(1, 1, 5, 5, pads=(0, 0, 0, 0)),
    "asymmetric pads": Case(20, 40, 8, 13, pads=(0, 2, 1, 0)),
    "pads larger than the kernel": Case(6, 9, 4, 3, pads=(5, 3, 4, 6)),
    "no pads": Case(24, 70, 10, 11, pads=(0, 0, 0, 0)),
    "one row": Case(18, 50, 1, 40),
    "one column": Case(18, 50, 23, 1),
    "batch": Case(19, 35, 7, 6, batch=5),
    "many tiles": Case(16, 130, 61, 59, batch=2),
    "residual": Case(17, 65, 10, 9, residual=True),
    "residual, Relu": Case(32, 64, 14, 14, batch=2, residual=True, activation="Relu"),
    "Tanh": Case(17, 20, 6, 7, residual=True, activation="Tanh"),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str) -> None:
    check(EDGES[name], 1)


@pytest.mark.parametrize("seed", range(20))
def test_random(seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, left, bottom, right = (int(i) for i in rng.integers(0, 4, 4))
    case = Case(
        int(rng.integers(1, 40)),
        int(rng.integers(1, 80)),
        int(rng.integers(3, 20)),
        int(rng.integers(3, 20)),
        batch=int(rng.integers(1, 4)),
        pads=(top, left, bottom, right),
        bias=bool(rng.integers(2)),
        residual=bool(rng.integers(2)),
        activation=str(rng.choice(["", "Relu", "Tanh"])),
    )
    check(case, seed)


def test_empty_batch() -> None:
    case = Case(4, 6, 5, 5, batch=0)
    arrays = draw(case, 0)
    got = lw.load(model_of(case, arrays), _force="winograd 4x4").run({"x": arrays["x"]})["y"]
    assert got.shape == case.out


def test_strict_refuses() -> None:
    case = Case(64, 64, 56, 56)
    arrays = draw(case, 0)
    for force in ("", *ALGORITHMS):
        model = lw.load(model_of(case, arrays), numerics="strict", _force=force)
        [(taken, refused)] = layers(model, {"x": arrays["x"]})
        assert taken == "direct"
        assert "strict" in refused["winograd 4x4"] and "strict" in refused["winograd 2x2"]


def test_computed_weights_refuse() -> None:
    case = Case(8, 8, 6, 6)
    arrays = draw(case, 0)
    model = lw.load(model_of(case, arrays, constant=False), _force="winograd 2x2")
    [(taken, refused)] = layers(model, {"x": arrays["x"], "w": arrays["w"]})
    assert not taken.startswith("winograd")
    assert refused["winograd 2x2"] == "the weights are not constant"


def test_reproducible_choice_ignores_batch() -> None:
    """A sample has the same bits alone and in a batch, where the fast choice may differ."""
    for channels, size in ((64, 14), (128, 7), (256, 7), (64, 28)):
        case = Case(channels, channels, size, size, batch=8)
        arrays = draw(case, 2)
        batched = lw.load(model_of(case, arrays), numerics="reproducible").run({"x": arrays["x"]})
        alone = lw.load(model_of(replace(case, batch=1), arrays), numerics="reproducible")
        got = alone.run({"x": arrays["x"][5:6]})["y"]
        np.testing.assert_array_equal(got[0], batched["y"][5])


DEPTHS: dict[str, dict[str, list[int]]] = {
    "same": {"pads": [1, 1, 1, 1, 1, 1]},
    "no pads": {},
    "stride and dilation along the depth": {
        "pads": [2, 1, 0, 3, 1, 0],
        "strides": [2, 1, 1],
        "dilations": [2, 1, 1],
    },
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize(("channels", "outputs", "depth"), [(5, 7, 3), (40, 70, 2), (16, 33, 1)])
def test_kernels_with_depth(name: str, isa: str, channels: int, outputs: int, depth: int) -> None:
    """Planes of a 3-D kernel are summed before the transform back."""
    rng = np.random.default_rng(outputs)
    x = rng.standard_normal((2, channels, 5, 9, 11)).astype(np.float32)
    w = rng.standard_normal((outputs, channels, depth, 3, 3)).astype(np.float32)
    options = DEPTHS[name]
    node = helper.make_node("Conv", ["x", "w"], ["y"], **options)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "depth", [value], [result], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])

    pads = options.get("pads", [0] * 6)
    stride, step = options.get("strides", [1])[0], options.get("dilations", [1])[0]
    wide = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(pads[:3], pads[3:], strict=True)])
    planes, height, width = wide.shape[2] - (depth - 1) * step, wide.shape[3], wide.shape[4]
    expected = np.zeros((2, outputs, (planes - 1) // stride + 1, height - 2, width - 2))
    for d, i, j in np.ndindex(depth, 3, 3):
        part = wide[:, :, d * step : d * step + planes : stride, i : i + height - 2, j:]
        part = part[..., : width - 2]
        expected += np.einsum("ncdhw,oc->nodhw", part, w[:, :, d, i, j].astype(np.float64))
    for algorithm in ALGORITHMS:
        results = []
        for threads in (1, 3):
            loaded = lw.load(model, isa=isa, threads=threads, _force=algorithm)
            assert [taken for taken, _ in layers(loaded, {"x": x})] == [algorithm]
            results.append(loaded.run({"x": x})["y"])
        assert np.abs(results[0] - expected).max() < BOUND[algorithm] * np.abs(expected).max()
        np.testing.assert_array_equal(results[0], results[1])
