"""Every network is a valid model with the published size, and its activations stay in range."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, shape_inference

from bench import networks
from bench.networks.count import without_weights

ROOT = Path(__file__).parents[2]

# Trainable parameters, exactly: from the authors' releases or from ports with the same layers.
PARAMETERS = {
    "acoustic_lstm": 6_804_562,  # 6.8M in table 1; ONNX keeps a second bias per gate: 10,000 more
    "alexnet": 60_965_224,  # bvlc_alexnet
    "c3d": 79_991_015,
    "densenet121": 7_978_856,  # torchvision
    "fast_rcnn_head": 119_976_041,  # fc6 and fc7 of VGG-16, then 21 + 84 outputs
    "fcn8s": 134_489_759,
    "googlenet": 6_998_552,  # bvlc_googlenet without its auxiliary classifiers
    "inception_bn": 11_295_240 - 10_016,  # the Caffe port, which has a bias beside each BN shift
    "lenet5": 61_706,
    "mobilenet_v1": 4_231_976,  # Keras
    "mobilenet_v2": 3_504_872,  # torchvision
    "openpose": 52_311_446 - 3 * 8_784_825,  # the release has five refinement stages, this has two
    "pix2pix_generator": 54_413_955,  # 54.414M in the authors' PyTorch port
    "resnet152": 60_192_808,  # torchvision
    "resnet18": 11_689_512,  # torchvision
    "resnet50": 25_557_032,  # torchvision
    "resnext50_32x4d": 25_028_904,  # torchvision
    "se_resnet50": 28_088_024,
    "show_and_tell": 11_285_224 - 1_025_000 + 524_800 + 6_144_000 + 2_101_248 + 6_156_000,
    "shufflenet_v1_g3": 1_865_728,
    "shufflenet_v2_x1.0": 2_278_604,  # torchvision
    "squeezenet1.1": 1_235_496,  # torchvision
    "srgan_generator": 1_548_547,
    "style_transfer": 1_679_235,  # PyTorch's fast_neural_style
    "unet": 31_030_658,
    "vgg16": 138_357_544,  # torchvision
    "vgg19": 143_667_240,  # torchvision
    "zfnet": 62_357_608,
}

# Multiply-adds in units of 1e9, as published or as torchvision's documentation gives them.
MULTIPLY_ADDS = {
    "alexnet": 0.724,
    "densenet121": 2.834,
    "mobilenet_v1": 0.569,
    "mobilenet_v2": 0.301,
    "resnet152": 11.514,
    "resnet18": 1.814,
    "resnet50": 4.089,
    "shufflenet_v1_g3": 0.137,
    "shufflenet_v2_x1.0": 0.145,
    "squeezenet1.1": 0.349,
    "vgg16": 15.470,
    "vgg19": 19.632,
}

# More than a second each to build or to run with every tensor kept.
SLOW = {
    *("alexnet", "c3d", "fast_rcnn_head", "fcn8s", "openpose", "pix2pix_generator", "resnet152"),
    *("unet", "vgg16", "vgg19", "zfnet"),
}
EVERY = [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in networks.names()]
FEED_FORWARD_IMAGE = ["googlenet", "mobilenet_v2", "shufflenet_v1_g3", "show_and_tell"]


def test_every_network_has_a_known_size() -> None:
    assert set(PARAMETERS) == set(networks.names())


@pytest.mark.parametrize("name", networks.names())
def test_parameters(name: str) -> None:
    assert networks.count(networks.build(name, seed=None)).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_flops(name: str) -> None:
    flops = networks.count(networks.build(name, seed=None)).flops
    assert flops / 2e9 == pytest.approx(MULTIPLY_ADDS[name], rel=0.015)


@pytest.mark.parametrize("batch", [1, 3, "N"])
@pytest.mark.parametrize("name", networks.names())
def test_valid_with_strict_shapes(name: str, batch: int | str) -> None:
    model = without_weights(networks.build(name, batch, seed=None))
    onnx.checker.check_model(model, full_check=True)
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    typed = {v.name for v in [*inferred.value_info, *inferred.output]}
    assert {o for n in inferred.node for o in n.output} <= typed
    declared = {i.name: i.shape for i in networks.get(name).inputs}
    for value in inferred.input:
        if value.name in declared:
            dims = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            assert dims == [batch if d == "N" else d for d in declared[value.name]]


@pytest.mark.parametrize("name", networks.names())
def test_paper_is_named(name: str) -> None:
    paper = networks.get(name).paper
    assert '"' in paper
    assert any(str(year) in paper for year in range(1998, 2020))


@pytest.mark.parametrize("name", EVERY)
def test_activations_stay_in_range(name: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    model = networks.build(name)
    outputs = [o.name for o in model.graph.output]
    hidden = [o for n in model.graph.node if n.op_type != "Constant" for o in n.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=o) for o in hidden if o not in outputs)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    kinds = {o: n.op_type for n in model.graph.node for o in n.output}
    # Boxes are in pixels; every other tensor of every network is of order one.
    low, high = (1e-2, 1e3) if "boxes" in outputs else (1e-2, 1e2)
    for key, value in zip(hidden, session.run(hidden, networks.inputs(name)), strict=True):
        if value.dtype != np.float32:
            continue
        assert np.isfinite(value).all(), key
        if kinds[key] == "Softmax":
            assert 1 / value.shape[-1] < value.max() < 0.99, f"{key} is flat or saturated"
        elif kinds[key] != "Identity":
            assert low <= value.std() <= high, key


@pytest.mark.parametrize("name", FEED_FORWARD_IMAGE)
def test_symbolic_batch_runs_and_samples_are_independent(name: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    data = networks.build(name, "N").SerializeToString()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    feed = networks.inputs(name, batch=3)
    together = session.run(None, feed)[0]
    for i in range(3):
        alone = session.run(None, {k: v[i : i + 1] for k, v in feed.items()})[0]
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5 * np.abs(alone).max())
    assert np.abs(together[0] - together[1]).max() > 1e-2 * np.abs(together).max()


def test_same_seed_same_bytes() -> None:
    first, again, other = (networks.build("squeezenet1.1", seed=s) for s in (0, 0, 1))
    assert first.SerializeToString() == again.SerializeToString() != other.SerializeToString()
    one, two = (networks.inputs("squeezenet1.1", seed=s)["data"] for s in (0, 1))
    assert not np.array_equal(one, two)
    assert np.array_equal(one, networks.inputs("squeezenet1.1")["data"])


@pytest.mark.parametrize("name", networks.names())
def test_inputs_match_the_declaration(name: str) -> None:
    feed = networks.inputs(name, batch=2)
    for spec in networks.get(name).inputs:
        assert feed[spec.name].dtype == spec.dtype
        assert feed[spec.name].shape == tuple(2 if d == "N" else d for d in spec.shape)
        assert feed[spec.name].std() > 0.1


def test_path_writes_once(tmp_path: Path) -> None:
    first = networks.path("squeezenet1.1", tmp_path / "new")
    assert networks.count(onnx.load(first)).parameters == PARAMETERS["squeezenet1.1"]
    written = first.stat().st_mtime_ns
    assert networks.path("squeezenet1.1", tmp_path / "new") == first
    assert first.stat().st_mtime_ns == written
    assert [p.name for p in first.parent.iterdir()] == [first.name]


def test_unknown_network() -> None:
    with pytest.raises(networks.UnknownNetworkError, match=r"'lenet9'.*resnet50"):
        networks.build("lenet9")


def test_count_by_hand() -> None:
    """Each counted operator once, with figures that can be checked on paper."""
    f32 = TensorProto.FLOAT
    shapes = {"c": [8, 2, 3, 3], "t": [8, 5, 2, 2], "g": [7, 20], "m": [6, 4]}
    shapes |= {"lw": [2, 12, 5], "lr": [2, 12, 3], "one": [8], "mean": [8]}
    weights = [
        helper.make_tensor(n, f32, s, np.zeros(s, np.float32).tobytes(), raw=True)
        for n, s in shapes.items()
    ]
    given = {"x": [1, 4, 6, 6], "r": [3, 20], "q": [2, 5, 6], "s": [10, 1, 5]}
    nodes = [
        helper.make_node("Conv", ["x", "c"], ["y"], group=2, pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["y", "one", "one", "mean", "mean"], ["b"]),
        helper.make_node("ConvTranspose", ["b", "t"], ["z"], strides=[2, 2]),
        helper.make_node("Gemm", ["r", "g"], ["h"], transB=1),
        helper.make_node("MatMul", ["q", "m"], ["p"]),
        helper.make_node(
            "LSTM", ["s", "lw", "lr"], ["o"], hidden_size=3, direction="bidirectional"
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "counted",
        [helper.make_tensor_value_info(n, f32, s) for n, s in given.items()],
        [helper.make_tensor_value_info(n, f32, None) for n in ("z", "h", "p", "o")],
        weights,
    )
    conv, transposed = 8 * 36 * 2 * 9, 8 * 36 * 5 * 4
    products = 3 * 20 * 7 + 2 * 5 * 6 * 4 + 10 * 2 * 12 * (5 + 3)
    parameters = 144 + 160 + 140 + 24 + 120 + 72 + 8
    counted = networks.count(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert counted == networks.Count(parameters, 2 * (conv + transposed + products))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.networks", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_command_line(tmp_path: Path) -> None:
    listed = json.loads(run("--list", "resnet18", "vgg16", "--json").stdout)
    assert [(r["name"], r["parameters"]) for r in listed] == [
        ("resnet18", 11_689_512),
        ("vgg16", 138_357_544),
    ]
    text = run("--list", "resnet50").stdout
    assert all(part in text for part in ("resnet50", "25.56", "8.18", "1x3x224x224", "He"))
    written = run("--write", str(tmp_path), "squeezenet1.1", "--batch", "N")
    assert written.returncode == 0
    assert onnx.load(written.stdout.strip()).graph.input[0].type.tensor_type.shape.dim[0].dim_param
    failed = run("--list", "lenet9")
    assert failed.returncode == 1
    assert "error: no network is called 'lenet9'" in failed.stderr
