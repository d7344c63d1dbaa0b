"""The engines, each at its best settings for latency at a given number of threads, in float32.

An engine loads a model from a file and gives back a function from inputs to outputs, both by name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Feed = dict[str, Array]
Run = Callable[[Feed], dict[str, Array]]


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        name: What the command line calls it.
        packages: Python packages that it needs.
        settings: What was chosen for it, in words, for the report.
        load: (file, inputs to expect, threads) -> function that runs the model.
    """

    name: str
    packages: tuple[str, ...]
    settings: str
    load: Callable[[Path, Feed, int], Run]

    def missing(self) -> str | None:
        """Why the engine cannot run here, or None if it can."""
        for package in self.packages:
            try:
                importlib.import_module(package)
            except Exception as error:  # a broken installation raises anything
                return f"package {package} is not usable: {error}"
        return None

    def version(self) -> str:
        """Version of the engine's first package, or "unknown" where it is not installed as one."""
        try:
            return importlib.metadata.version(self.packages[0])
        except importlib.metadata.PackageNotFoundError:
            return "unknown"


def _load_lanewise(file: Path, feed: Feed, threads: int) -> Run:
    lanewise = importlib.import_module("lanewise")
    model = lanewise.load(file, threads=threads)

    def run(feed: Feed) -> dict[str, Array]:
        outputs: dict[str, Array] = model.run(feed)
        return outputs

    return run


def _load_onnxruntime(file: Path, feed: Feed, threads: int) -> Run:
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def _load_openvino(file: Path, feed: Feed, threads: int) -> Run:
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    model = core.read_model(str(file))
    if any(port.partial_shape.is_dynamic for port in model.inputs):
        # A static shape lets it plan memory and choose kernels once.
        model.reshape({port: feed[port.any_name].shape for port in model.inputs})
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    names = [(port, sorted(port.names)) for port in compiled.outputs]

    def run(feed: Feed) -> dict[str, Array]:
        values = request.infer(feed, share_inputs=True, share_outputs=True)
        return {name: values[port] for port, every in names for name in every}

    return run


def _load_torch(file: Path, feed: Feed, threads: int) -> Run:
    torch = importlib.import_module("torch")
    onnx = importlib.import_module("onnx")
    model = onnx.load(file)
    inputs = [value.name for value in model.graph.input if value.name in feed]
    outputs = [value.name for value in model.graph.output]
    torch.set_num_threads(threads)
    module = importlib.import_module("onnx2torch").convert(model).eval()

    def tensors(feed: Feed) -> list[Any]:
        return [torch.from_numpy(feed[name]) for name in inputs]

    with torch.inference_mode():
        traced = torch.jit.trace(module, tensors(feed))
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def run(feed: Feed) -> dict[str, Array]:
        with torch.inference_mode():
            values = frozen(*tensors(feed))
        many = values if isinstance(values, (list, tuple)) else [values]
        return {name: value.numpy() for name, value in zip(outputs, many, strict=True)}

    return run


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("lanewise", ("lanewise",), "defaults", _load_lanewise),
        Engine(
            "onnxruntime",
            ("onnxruntime",),
            "all optimisations, sequential, inter-op 1, spinning as by default",
            _load_onnxruntime,
        ),
        Engine(
            "openvino", ("openvino",), "f32, LATENCY, one stream, static shapes", _load_openvino
        ),
        Engine("torch", ("torch", "onnx2torch", "onnx"), "traced, frozen, optimised", _load_torch),
    )
}
DEFAULT_PEERS = ("lanewise", "onnxruntime", "openvino")


def difference(found: dict[str, Array], expected: dict[str, Array]) -> float:
    """The largest |a - b| / max|b| over all outputs; infinite where shapes or NaNs differ.

    Integer outputs agree exactly (0) or not at all (infinite).
    """
    worst = 0.0
    for name, want in expected.items():
        have = found.get(name)
        if have is None or have.shape != want.shape:
            return float("inf")
        if not np.issubdtype(want.dtype, np.floating):
            worst = max(worst, 0.0 if np.array_equal(have, want) else float("inf"))
        elif want.size:
            scale = max(float(np.abs(want).max()), float(np.finfo(np.float32).tiny))
            error = float(np.abs(have.astype(np.float64) - want).max()) / scale
            worst = max(worst, error if np.isfinite(error) else float("inf"))
    return worst
