"""Concatenations whose inputs are written in place: convolutions that write and read pixels which
lie apart, against the same graph without rewrites, on every ISA."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from lanewise import _core

ISAS = _core.isas()


def graph(group: int = 1) -> onnx.ModelProto:
    """x -> a, b; c reads both joined; d reads a alone; later joins hold the earlier ones."""
    rng = np.random.default_rng(7)
    nodes, weights = [], []

    def conv(name: str, source: str, channels: int, outputs: int, kernel: int, **more: int) -> None:
        shape = [outputs, channels // more.get("group", 1), kernel, kernel]
        w = rng.integers(-2, 3, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(w, f"{name}_w"))
        weights.append(
            numpy_helper.from_array(rng.integers(-3, 4, outputs).astype(np.float32), f"{name}_b")
        )
        pads = [kernel // 2] * 4
        inputs = [source, f"{name}_w", f"{name}_b"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_0"], pads=pads, **more))
        nodes.append(helper.make_node("Relu", [f"{name}_0"], [name]))

    conv("a", "x", 5, 20, 3)
    conv("b", "x", 5, 20, 1, group=1)
    nodes.append(helper.make_node("Concat", ["a", "b"], ["ab"], axis=1))
    conv("c", "ab", 40, 20, 3)
    conv("d", "a", 20, 20, 3, group=group)
    nodes[-1] = helper.make_node("Add", ["d_0", "a"], ["e_0"])
    nodes.append(helper.make_node("Relu", ["e_0"], ["e"]))
    nodes.append(helper.make_node("Concat", ["c", "ab", "e", "c"], ["all"], axis=-3))
    # DenseNet's order: what is joined is normalised, and joined again.
    for name, values in ("s", [1, 2]), ("o", [-2, 3]), ("m", [1, -1]), ("v", [1, 1]):
        weights.append(numpy_helper.from_array(np.resize(values, 40).astype(np.float32), name))
    statistics = ["s", "o", "m", "v"]
    nodes.append(helper.make_node("BatchNormalization", ["ab", *statistics], ["n_0"], epsilon=0.0))
    nodes.append(helper.make_node("Relu", ["n_0"], ["n"]))
    conv("f", "n", 40, 1, 1)
    nodes.append(helper.make_node("Concat", ["all", "f"], ["last"], axis=1))
    conv("y", "last", 101, 7, 1)
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, [2, 5, 9, 11])]
    outputs = [value("y", TensorProto.FLOAT, [2, 7, 9, 11])]
    g = helper.make_graph(nodes, "joined", inputs, outputs, weights)
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 18)])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("force", ["", "direct", "generic", "winograd 2x2", "winograd 4x4"])
@pytest.mark.parametrize("group", [1, 20])
def test_same_as_without_rewrites(isa: str, force: str, group: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 4, [2, 5, 9, 11]).astype(np.float32)
    model = graph(group)
    expected = lw.load(model, isa=isa, numerics="strict", _fuse=False).run({"x": x})["y"]
    for threads in (1, 2):
        got = lw.load(model, isa=isa, threads=threads, _force=force).run({"x": x})["y"]
        # Winograd rounds; sums of small integers do not.
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
        strict = lw.load(model, isa=isa, threads=threads, numerics="strict", _force=force)
        np.testing.assert_array_equal(strict.run({"x": x})["y"], expected)


def test_nothing_is_copied() -> None:
    x = np.ones([2, 5, 9, 11], np.float32)
    layers = lw.load(graph()).profile({"x": x}, runs=1).layers
    first, middle, last = (layer.algorithm for layer in layers if layer.op == "Concat")
    assert first == last == "in place"
    assert middle != "in place"  # one input is joined twice


@pytest.mark.parametrize("name", ["a", "b", "ab", "c", "e", "all", "n", "f"])
def test_inner_values_leave_as_before(name: str) -> None:
    rng = np.random.default_rng(4)
    feed = {"x": rng.integers(-3, 4, [2, 5, 9, 11]).astype(np.float32)}
    wanted = [name, "y"]
    model = graph()
    expected = lw.load(model, numerics="strict", _fuse=False).run(feed, outputs=wanted)
    got = lw.load(model, numerics="strict").run(feed, outputs=wanted)
    for value in wanted:
        np.testing.assert_array_equal(got[value], expected[value])


def upsampling(outputs: int) -> onnx.ModelProto:
    """U-Net's join: the middle of one image beside another one, enlarged and activated."""
    rng = np.random.default_rng(outputs)
    constants = {
        "w": rng.integers(-2, 3, [6, outputs, 2, 2]).astype(np.float32),
        "b": rng.integers(-3, 4, outputs).astype(np.float32),
        "v": rng.integers(-2, 3, [9, 6 + outputs, 3, 3]).astype(np.float32),
        "starts": np.array([1, 2]),
        "ends": np.array([11, 12]),
        "axes": np.array([2, 3]),
    }
    nodes = [
        helper.make_node(
            "MaxPool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4
        ),
        helper.make_node("Slice", ["p", "starts", "ends", "axes"], ["crop"]),
        helper.make_node("MaxPool", ["crop"], ["q"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("ConvTranspose", ["q", "w", "b"], ["t"], strides=[2, 2]),
        helper.make_node("LeakyRelu", ["t"], ["up"], alpha=0.5),
        helper.make_node("Slice", ["p", "starts", "ends", "axes"], ["side"]),
        helper.make_node("Concat", ["side", "up"], ["joined"], axis=1),
        helper.make_node("Conv", ["joined", "v"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, [2, 6, 26, 28])]
    results = [value("y", TensorProto.FLOAT, [2, 9, 8, 8])]
    weights = [numpy_helper.from_array(a, name) for name, a in constants.items()]
    g = helper.make_graph(nodes, "upsampling", inputs, results, weights)
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 18)])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("force", ["", "phases", "generic"])
@pytest.mark.parametrize("outputs", [3, 20])
def test_crop_and_transposed_convolution(isa: str, force: str, outputs: int) -> None:
    x = np.random.default_rng(1).integers(-4, 5, [2, 6, 26, 28]).astype(np.float32)
    model = upsampling(outputs)
    expected = lw.load(model, isa=isa, numerics="strict", _fuse=False).run({"x": x})["y"]
    session = lw.load(model, isa=isa, threads=2, numerics="strict", _force=force)
    np.testing.assert_array_equal(session.run({"x": x})["y"], expected)
    layers = session.profile({"x": x}, runs=1).layers
    assert [layer.algorithm for layer in layers if layer.op == "Concat"] == ["in place"]
