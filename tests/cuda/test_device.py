"""A model on a stand-in of the GPU: results, captured graphs, memory, threads, failures."""

from __future__ import annotations

import gc
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from lanewise import devices
from tests.cuda.standin import StandIn


def small_network(seed: int = 0, batch: int | str = 1) -> bytes:
    """A residual block and a classifier: convolutions, a sum, ReLU, Gemm."""
    rng = np.random.default_rng(seed)

    def constant(name: str, *shape: int) -> TensorProto:
        scale = np.sqrt(2.0 / max(1, np.prod(shape[1:])))
        values = rng.normal(0, scale, shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1], name="first"),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], pads=[1, 1, 1, 1], name="second"),
        helper.make_node("Add", ["c1", "r0"], ["s"]),
        helper.make_node("Relu", ["s"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="third", strides=[2, 2]),
        helper.make_node("Flatten", ["c2"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], transB=1, name="last"),
    ]
    weights = [
        constant("w0", 8, 3, 3, 3),
        constant("b0", 8),
        constant("w1", 8, 8, 3, 3),
        constant("w2", 4, 8, 1, 1),
        constant("b2", 4),
        constant("w3", 5, 4 * 4 * 4),
        constant("b3", 5),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def image(seed: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(batch, 3, 8, 8)).astype(np.float32)


def steps_on(model: lw.Model, device: str) -> list[str]:
    plan = model.describe({"x": (1, 3, 8, 8)})
    return [layer.op for layer in plan.layers if layer.device == device]


def test_equals_the_cpu(standin: StandIn) -> None:
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    assert model.device == "cuda:0"
    # The first run enqueues, the second captures, later ones play.
    for seed in range(4):
        x = image(seed)
        np.testing.assert_allclose(model(x), reference(x), rtol=0, atol=2e-5)
    assert standin.read("graph_launches") > 0
    assert standin.read("convolutions") > 0 and standin.read("products") > 0


def test_every_shape_has_its_plan(standin: StandIn) -> None:
    content = small_network(batch="n")
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    for batch in (1, 3, 1, 3, 2):
        x = image(batch, batch)
        np.testing.assert_allclose(model(x), reference(x), rtol=0, atol=2e-5)


def test_inner_tensors_come_back(standin: StandIn) -> None:
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    x = {"x": image(7)}
    wanted = ["c0", "s", "c2"]
    for name, value in reference.run(x, wanted).items():
        np.testing.assert_allclose(model.run(x, wanted)[name], value, rtol=0, atol=2e-5)


def test_a_refused_capture_is_run_plainly(standin: StandIn) -> None:
    standin.set("refuse_capture", 1)
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    for seed in range(3):
        x = image(seed)
        np.testing.assert_allclose(model(x), reference(x), rtol=0, atol=2e-5)
    assert standin.read("graph_launches") == 0


@pytest.mark.parametrize("refusal", ["refuse_fused", "refuse_forward", "refuse_convolution"])
def test_what_cudnn_refuses_is_computed_otherwise(standin: StandIn, refusal: str) -> None:
    standin.set(refusal, 1)
    standin.set("refuse_fused", 1)
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    for seed in range(3):
        x = image(seed)
        np.testing.assert_allclose(model(x), reference(x), rtol=0, atol=2e-5)
    assert "lanewise:FusedConv" in steps_on(model, "cuda:0")
    assert (standin.read("convolutions") == 0) == (refusal != "refuse_fused")


def test_what_cublaslt_refuses_runs_on_the_cpu(standin: StandIn) -> None:
    standin.set("refuse_products", 1)
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    assert "Gemm" in steps_on(model, "cpu")
    layers = model.describe({"x": (1, 3, 8, 8)}).layers
    [gemm] = [layer for layer in layers if layer.op == "Gemm"]
    assert gemm.refused[0][0] == "cuda:0" and "cuBLASLt" in gemm.refused[0][1]
    assert "lanewise:ToHost" in steps_on(model, "copy")
    x = image(0)
    np.testing.assert_allclose(model(x), reference(x), rtol=0, atol=2e-5)


def test_memory_comes_back(standin: StandIn) -> None:
    lw.load(small_network(), device="cuda")(image(0))
    gc.collect()
    before = standin.alive()
    for seed in range(3):
        model = lw.load(small_network(seed), device="cuda")
        for _ in range(3):
            model(image(seed))
        during = standin.alive()
        assert during["bytes"] > before["bytes"] and during["streams"] > before["streams"]
        del model
        gc.collect()
        assert standin.alive() == before


def test_weights_are_uploaded_once(standin: StandIn) -> None:
    model = lw.load(small_network(batch="n"), device="cuda")
    model(image(0))
    uploads = standin.read("uploads")
    model(image(1))
    model(image(2, 4))
    model(image(3, 2))
    assert standin.read("uploads") == uploads


def test_threads_run_at_once(standin: StandIn) -> None:
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    inputs = [image(seed) for seed in range(24)]
    wanted = [reference(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(model, inputs))
    for result, right in zip(got, wanted, strict=True):
        np.testing.assert_allclose(result, right, rtol=0, atol=2e-5)


def test_too_little_memory(standin: StandIn) -> None:
    lw.load(small_network(), device="cuda")
    gc.collect()
    before = standin.alive()
    for room in (0, 1000, 5000):
        standin.set("memory", before["bytes"] + room)
        with pytest.raises(lw.ResourceError, match=r"MiB .* free .*smaller batch"):
            lw.load(small_network(), device="cuda")(image(0))
        gc.collect()
        assert standin.alive() == before
    standin.set("memory", 1 << 30)
    content = small_network()
    x = image(0)
    result = lw.load(content, device="cuda")(x)
    np.testing.assert_allclose(result, lw.load(content)(x), rtol=0, atol=2e-5)


def test_a_lost_device(standin: StandIn) -> None:
    content = small_network()
    model, reference = lw.load(content, device="cuda"), lw.load(content)
    x = image(0)
    wanted = reference(x)
    model(x)
    standin.set("lose_after", 0)
    with pytest.raises(lw.DeviceError, match="waiting for the device: CUDA_ERROR_ILLEGAL_ADDRESS"):
        model(x)
    np.testing.assert_array_equal(reference(x), wanted)
    standin.set("lose_after", 1_000_000)
    np.testing.assert_allclose(model(x), wanted, rtol=0, atol=2e-5)


def test_a_forked_child_is_told(standin: StandIn) -> None:
    model = lw.load(small_network(), device="cuda")
    model(image(0))
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child() -> None:
        try:
            model(image(0))
        except lw.DeviceError as error:
            answers.put(str(error))
        else:
            answers.put("no error")

    process = context.Process(target=child)
    process.start()
    assert "forked" in answers.get()
    process.join()
    assert process.exitcode == 0
    model(image(0))


def test_missing_libraries_are_listed(standin_folder: Path, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "libnvrtc.so.13").symlink_to(standin_folder / "libnvrtc.so.13")
    monkeypatch.setattr(devices, "library_folders", lambda: [str(tmp_path)])
    try:
        lw.load(small_network(), device="cuda")
    except lw.DeviceError as error:
        text = str(error)
    else:
        pytest.skip("this machine has CUDA's libraries")
    assert "NVRTC" not in text
    assert f"cuDNN: looked for libcudnn.so.9 in {tmp_path}" in text
    assert "pip install 'lanewise[cuda]'" in text and "device='cpu'" in text


def test_library_folders_are_those_of_wheels(monkeypatch, tmp_path: Path) -> None:
    for part in ("cudnn", "cu13"):
        (tmp_path / "nvidia" / part / "lib").mkdir(parents=True)
    (tmp_path / "nvidia" / "empty").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path), str(tmp_path / "missing")])
    root = tmp_path / "nvidia"
    assert devices.library_folders() == [str(root / "cu13" / "lib"), str(root / "cudnn" / "lib")]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"device": "gpu"}, "device"),
        ({"device": "cuda:x"}, "device"),
        ({"device": "cuda:"}, "device"),
        ({"device": "cuda", "precision": "int4"}, "precision"),
        ({"precision": "float16"}, "precision"),
        ({"device": "cuda", "numerics": "strict"}, "numerics"),
    ],
)
def test_wrong_options(standin: StandIn, options: dict[str, str], name: str) -> None:
    with pytest.raises(lw.InputError) as caught:
        lw.load(small_network(), **options)  # type: ignore[arg-type]
    assert caught.value.name == name


def test_a_number_without_a_device(standin: StandIn) -> None:
    with pytest.raises(lw.DeviceError, match="'cuda:3': there are 1 GPUs"):
        lw.load(small_network(), device="cuda:3")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [("devices", 0, "finds no GPU"), ("architecture", 61, "sm_61, expected sm_75")],
)
def test_no_fitting_device(
    standin: StandIn,
    standin_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: int,
    message: str,
) -> None:
    # An order of folders that no other test used: an open device is kept by it.
    folders = [str(standin_folder), f"/{setting}"]
    monkeypatch.setattr(devices, "library_folders", lambda: folders)
    standin.set(setting, value)
    with pytest.raises(lw.DeviceError, match=message):
        lw.load(small_network(), device="cuda")
