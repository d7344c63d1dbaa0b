"""Constants that leave memory once they are packed: what stays, and that results stay right."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw

WIDTH = 160
SHIFTS = [0, 1, 2, 3]  # how far the weights lie from whole floats in the file

MEASURE = """
import sys
import numpy as np
import lanewise as lw

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

before = status("VmHWM")
model = lw.load(sys.argv[1], threads=1)
model(np.ones((1, int(sys.argv[2]), 1, 1), np.float32))
print(status("VmHWM") - before)
"""


def save(
    path: Path,
    constants: dict[str, np.ndarray],
    nodes: list[onnx.NodeProto],
    width: int,
    shift: int,
) -> Path:
    """A model of x [N, width, 1, 1] and y whose float32 data lies `shift` bytes off."""
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width, 1, 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "weights", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    large = max(constants, key=lambda name: constants[name].nbytes)
    for length in range(1, 64):  # the name comes before the graph in the file
        model.producer_name = "p" * length
        content = model.SerializeToString()
        if content.find(constants[large].tobytes()) % 4 == shift:
            path.write_bytes(content)
            return path
    raise AssertionError("no name moves the weights")


def random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.standard_normal(shape) / 16).astype(np.float32)


def norm(rng: np.random.Generator, name: str, width: int) -> dict[str, np.ndarray]:
    arrays = {f"{name}{part}": random(rng, width) for part in ("scale", "shift", "mean")}
    return arrays | {f"{name}variance": rng.random(width, np.float32) + np.float32(0.5)}


def shared_model(path: Path, shift: int) -> tuple[Path, dict[str, np.ndarray]]:
    """One matrix w as a convolution's folded weights, as a transposed factor and as a summand."""
    rng = np.random.default_rng(3)
    constants = {"w": random(rng, WIDTH, WIDTH), **norm(rng, "bn", WIDTH)}
    constants["dims"] = np.array([WIDTH, WIDTH, 1, 1])
    constants["rows"] = np.array([-1, WIDTH])
    node = helper.make_node
    names = ["bnscale", "bnshift", "bnmean", "bnvariance"]
    nodes = [
        node("Reshape", ["w", "dims"], ["kernel"]),
        node("Conv", ["x", "kernel"], ["c"]),
        node("BatchNormalization", ["c", *names], ["n"]),
        node("Reshape", ["n", "rows"], ["flat"]),
        node("Gemm", ["flat", "w"], ["g"], transB=1, alpha=0.5),
        node("Transpose", ["w"], ["turned"]),
        node("MatMul", ["g", "turned"], ["m"]),
        node("Unsqueeze", ["m", "one"], ["high"]),
        node("Add", ["high", "w"], ["y"]),
    ]
    constants["one"] = np.array([1])
    return save(path, constants, nodes, WIDTH, shift), constants


def expected(x: np.ndarray, c: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    w = c["w"].astype(np.float64)
    conv = x[:, :, 0, 0].astype(np.float64) @ w.T
    scale = c["bnscale"] / np.sqrt(c["bnvariance"] + np.float32(1e-5))
    g = 0.5 * ((conv - c["bnmean"]) * scale + c["bnshift"]) @ w.T
    return {"c": conv[:, :, None, None], "g": g, "w": w, "y": (g @ w.T)[:, None] + w}


def check(got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shift", SHIFTS)
def test_shared_weights_serve_shapes_and_inner_outputs(tmp_path: Path, shift: int) -> None:
    path, constants = shared_model(tmp_path / "m.onnx", shift)
    for source in (path, path.read_bytes()):
        model = lw.load(source, threads=1)
        for size in (2, 1, 5, 2):
            x = random(np.random.default_rng(size), size, WIDTH, 1, 1)
            want = expected(x, constants)
            for asked in (["y"], ["c", "y"], ["w"], ["g", "w"], ["y"]):
                for name, array in model.run({"x": x}, outputs=asked).items():
                    check(array, want[name])


@pytest.mark.parametrize("shift", [0, 1])
def test_a_constant_that_is_returned_is_the_callers_own(tmp_path: Path, shift: int) -> None:
    path, constants = shared_model(tmp_path / "m.onnx", shift)
    model = lw.load(path, threads=1)
    x = random(np.random.default_rng(0), 1, WIDTH, 1, 1)
    got = model.run({"x": x}, outputs=["w"])["w"]
    got[:] = 7
    np.testing.assert_array_equal(model.run({"x": x}, outputs=["w"])["w"], constants["w"])
    check(model(x), expected(x, constants)["y"])


@pytest.mark.parametrize("shift", [0, 1])
def test_threads_that_plan_and_run_at_once(tmp_path: Path, shift: int) -> None:
    path, constants = shared_model(tmp_path / "m.onnx", shift)
    inputs = [random(np.random.default_rng(i), 1 + i % 7, WIDTH, 1, 1) for i in range(14)]
    wants = [expected(x, constants) for x in inputs]
    model = lw.load(path, threads=1)
    choices = [["y"], ["c"], ["w"], ["g", "y"], ["w", "c"]]

    def work(i: int) -> None:
        at = i % len(inputs)
        for name, array in model.run({"x": inputs[at]}, outputs=choices[i % 5]).items():
            check(array, wants[at][name])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(210)))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(
    any(s in os.environ.get("LD_PRELOAD", "") for s in ("libasan", "libtsan")),
    reason="sanitizers keep memory of their own",
)
@pytest.mark.parametrize("shift", SHIFTS)
def test_peak_memory_is_packed_weights_and_little_else(tmp_path: Path, shift: int) -> None:
    width, layers, columns = 1024, 6, 24576
    rng = np.random.default_rng(1)
    constants = {"rows": np.array([-1, width])}
    nodes, at = [], "x"
    for i in range(layers):
        constants |= {f"w{i}": random(rng, width, width, 1, 1), **norm(rng, f"b{i}", width)}
        names = [f"b{i}{part}" for part in ("scale", "shift", "mean", "variance")]
        nodes.append(helper.make_node("Conv", [at, f"w{i}"], [f"c{i}"]))
        nodes.append(helper.make_node("BatchNormalization", [f"c{i}", *names], [f"n{i}"]))
        at = f"n{i}"
    constants["last"] = random(rng, columns, width)
    nodes.append(helper.make_node("Reshape", [at, "rows"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "last"], ["y"], transB=1))
    path = save(tmp_path / "large.onnx", constants, nodes, width, shift)
    command = [sys.executable, "-c", MEASURE, str(path), str(width)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    # What is packed here is as large as the file. Beside it: one layer's weights in three forms,
    # a window of the matrix, and what the allocator keeps.
    packed = 4 * width * (layers * width + columns)
    assert grown < packed + (32 << 20), f"{grown >> 20} MiB for {packed >> 20} MiB of weights"
