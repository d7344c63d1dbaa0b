"""How a plan is divided between the GPU and the CPU, in which types, and for which networks."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from bench import networks
from lanewise.feeds import concrete_shapes
from tests.cuda.standin import StandIn
from tests.cuda.test_device import image, small_network

#: What the device lacks, by network; every other one runs there as a whole.
ON_CPU = {
    "fast_rcnn_head": {"NonMaxSuppression"},  # the shape of its result depends on data
}
#: Networks small enough to compute on the stand-in, whose loops are plain.
COMPUTED = ("lenet5", "shufflenet_v1_g3")


def graph_of(
    nodes: list[onnx.NodeProto], values: dict[str, tuple[int, ...]], **kinds: int
) -> bytes:
    """A model over float32 inputs; `kinds` names its results with their types."""
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in values.items()
    ]
    made = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    graph = helper.make_graph(nodes, "divided", given, made)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


@pytest.mark.parametrize(
    ("precision", "relative"),
    # Half a unit in the last place of each type, over a chain of five roundings and short sums.
    [("float32", 1e-5), ("tf32", 1e-5), ("float16", 4 * 2**-10), ("bfloat16", 4 * 2**-7)],
)
def test_precisions(standin: StandIn, precision: str, relative: float) -> None:
    content = small_network()
    model = lw.load(content, device="cuda", precision=precision)  # type: ignore[arg-type]
    reference = lw.load(content)
    for seed in range(3):
        x = image(seed)
        want, have = reference(x), model(x)
        assert have.dtype == np.float32
        assert np.abs(have - want).max() <= relative * np.abs(want).max()
    casts = [step.op for step in model.describe({"x": (1, 3, 8, 8)}).layers].count("Cast")
    assert casts == (2 if precision in ("float16", "bfloat16") else 0)


def test_inner_halves_come_back_as_float32(standin: StandIn) -> None:
    content = small_network()
    model = lw.load(content, device="cuda", precision="float16")
    x = {"x": image(0)}
    want, have = lw.load(content).run(x, ["c0", "s"]), model.run(x, ["c0", "s"])
    for name, value in want.items():
        assert have[name].dtype == np.float32
        assert np.abs(have[name] - value).max() <= 2**-8 * np.abs(value).max()


def test_data_dependent_shapes_end_a_stretch(standin: StandIn) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("NonZero", ["r"], ["where"]),
        helper.make_node("Transpose", ["where"], ["places"]),
        helper.make_node("GatherND", ["r", "places"], ["found"]),
        helper.make_node("Exp", ["found"], ["y"]),
    ]
    content = graph_of(nodes, {"x": (3, 4)}, y=TensorProto.FLOAT)
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)
        np.testing.assert_allclose(model(x), reference(x), rtol=1e-5)


def test_float64_and_empty_tensors_stay_on_the_cpu(standin: StandIn) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["wide", "wide"], ["p"]),
        helper.make_node("Cast", ["p"], ["y"], to=TensorProto.FLOAT),
    ]
    content = graph_of(nodes, {"x": (4, 4)}, y=TensorProto.FLOAT)
    model = lw.load(content, device="cuda")
    steps = {step.op: step for step in model.describe({"x": (4, 4)}).layers}
    assert steps["MatMul"].device == "cpu" and "float64" in steps["MatMul"].refused[0][1]
    x = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    np.testing.assert_allclose(model(x), lw.load(content)(x), rtol=1e-6)
    content = graph_of([helper.make_node("Relu", ["x"], ["y"])], {"x": (0, 4)}, y=TensorProto.FLOAT)
    assert lw.load(content, device="cuda")(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_shape_arithmetic_copies_nothing(standin: StandIn) -> None:
    shape = numpy_helper.from_array(np.array([0, -1], np.int64), "shape")
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Reshape", ["r", "shape"], ["flat"]),
            helper.make_node("Neg", ["flat"], ["y"]),
        ],
        "views",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 12])],
        [shape],
    )
    opsets = [helper.make_opsetid("", 17)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    model = lw.load(content, device="cuda")
    devices = [step.device for step in model.describe({"x": (2, 3, 4)}).layers]
    assert devices.count("copy") == 2 and "cpu" not in devices
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(model(x), lw.load(content)(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.names())
def test_networks_run_wholly_on_the_device(standin: StandIn, name: str) -> None:
    model = lw.load(networks.build(name), device="cuda")
    plan = model.describe(concrete_shapes(model.inputs))
    assert {step.op for step in plan.layers if step.device == "cpu"} == ON_CPU.get(name, set())


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPUTED)
def test_networks_compute_the_same(standin: StandIn, name: str) -> None:
    content, feed = networks.build(name).SerializeToString(), networks.inputs(name)
    want, have = lw.load(content).run(feed), lw.load(content, device="cuda").run(feed)
    for key, value in want.items():
        assert np.abs(have[key] - value).max() <= 1e-5 * np.abs(value).max(), key
