"""The engines, each at its best settings for latency at a given number of threads or on a GPU.

An engine loads a model from a file and gives back a function from inputs to outputs, both by name.
This module needs NumPy alone, so that a process which measures one engine holds nothing else.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Feed = dict[str, Array]
Run = Callable[[Feed], dict[str, Array]]

PROFILED_RUNS = 10
PRECISIONS = ("float32", "tf32", "float16", "bfloat16")


@dataclass(frozen=True)
class Setup:
    """How an engine is to run.

    Attributes:
        threads: on the CPU; None for the engine's default. Without meaning on a GPU.
        device: "cpu", or "cuda" with or without a number ("cuda:1").
        precision: one of PRECISIONS, in which products are computed.
        options: further keyword arguments of `lanewise.load`, which other engines ignore.
    """

    threads: int | None = None
    device: str = "cpu"
    precision: str = "float32"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "cpu"


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to run.

    Attributes:
        run: from inputs to outputs, both in the memory of the CPU.
        model: the `lanewise.Model`, where the engine is Lanewise.
        resident: on a GPU, takes inputs there once and returns a call that runs on them, leaves the
            outputs there and waits for them; None where the engine offers no such thing.
        copies_ms: on a GPU, what the copies of a run take there and back, for engines that cannot
            leave them out but can time them.
    """

    run: Run
    model: Any = None
    resident: Callable[[Feed], Callable[[], object]] | None = None
    copies_ms: Callable[[Feed], float] | None = None


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        name: What the command line calls it.
        packages: Python packages that it needs.
        settings: What was chosen for it, in words, for the report.
        load: (file, inputs to expect, setup) -> the model.
        gpu_precisions: what it computes in on a GPU; on the CPU every engine has float32.
    """

    name: str
    packages: tuple[str, ...]
    settings: str
    load: Callable[[Path, Feed, Setup], Loaded]
    gpu_precisions: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why the engine cannot run here, or None if it can."""
        for package in self.packages:
            try:
                importlib.import_module(package)
            except Exception as error:  # a broken installation raises anything
                return f"package {package} is not usable: {error}"
        return None

    def refusal(self, setup: Setup) -> str | None:
        """Why the engine does not run this way, or None if it does; asks nothing of the machine."""
        known = self.gpu_precisions if setup.on_gpu else ("float32",)
        if not known:
            return f"{self.name} has no form for {setup.device} here"
        if setup.precision not in known:
            return f"{self.name} runs on {setup.device} in {', '.join(known)} only"
        return None

    def version(self) -> str:
        """Version of the engine's first package, or "unknown" where nothing says it."""
        try:
            return importlib.metadata.version(self.packages[0])
        except importlib.metadata.PackageNotFoundError:
            module = importlib.import_module(self.packages[0])
            return str(getattr(module, "__version__", "unknown"))


def _load_lanewise(file: Path, feed: Feed, setup: Setup) -> Loaded:
    lanewise = importlib.import_module("lanewise")
    options: dict[str, Any] = {"threads": setup.threads, **dict(setup.options)}
    if setup.on_gpu:
        options.update(device=setup.device, precision=setup.precision)
    model = lanewise.load(file, **options)

    def copies_ms(feed: Feed) -> float:
        layers = model.profile(feed, PROFILED_RUNS).layers
        return float(sum(layer.ms for layer in layers if layer.device == "copy"))

    return Loaded(model.run, model, copies_ms=copies_ms if setup.on_gpu else None)


def _load_onnxruntime(file: Path, feed: Feed, setup: Setup) -> Loaded:
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = setup.threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if setup.on_gpu:
        chosen = "CUDAExecutionProvider"
        # Without this question it would fall back to the CPU and say so in its log alone.
        if chosen not in ort.get_available_providers():
            raise RuntimeError("this onnxruntime has no CUDA; onnxruntime-gpu has")
        providers = [(chosen, _cuda_options(setup)), *providers]
    session = ort.InferenceSession(str(file), options, providers)
    if setup.on_gpu and session.get_providers()[0] != "CUDAExecutionProvider":
        raise RuntimeError("onnxruntime could not open its CUDA provider")
    names = [output.name for output in session.get_outputs()]
    return Loaded(
        lambda feed: dict(zip(names, session.run(names, feed), strict=True)),
        resident=partial(bound, session, names, setup.device) if setup.on_gpu else None,
    )


def bound(session: Any, names: list[str], device: str, feed: Feed) -> Callable[[], object]:
    """A call of an ONNX Runtime session whose inputs and outputs stay in a device's memory."""
    ort = importlib.import_module("onnxruntime")
    kind, _, number = device.partition(":")
    binding = session.io_binding()
    for name, array in feed.items():
        value = ort.OrtValue.ortvalue_from_numpy(array, kind, int(number or 0))
        binding.bind_ortvalue_input(name, value)
    for name in names:
        binding.bind_output(name, kind, int(number or 0))

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def _cuda_options(setup: Setup) -> dict[str, str]:
    return {
        "device_id": setup.device.partition(":")[2] or "0",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "use_tf32": str(int(setup.precision == "tf32")),
    }


def _load_openvino(file: Path, feed: Feed, setup: Setup) -> Loaded:
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
        "INFERENCE_NUM_THREADS": str(setup.threads or 0),
    }
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    names = [(port, sorted(port.names)) for port in compiled.outputs]

    def run(feed: Feed) -> dict[str, Array]:
        values = request.infer(feed, share_inputs=True, share_outputs=True)
        return {name: values[port] for port, every in names for name in every}

    return Loaded(run)


def _load_torch(file: Path, feed: Feed, setup: Setup) -> Loaded:
    torch = importlib.import_module("torch")
    onnx = importlib.import_module("onnx")
    model = onnx.load(file)
    inputs = [value.name for value in model.graph.input if value.name in feed]
    outputs = [value.name for value in model.graph.output]
    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    module = importlib.import_module("onnx2torch").convert(model).eval()
    kind = getattr(torch, "float32" if setup.precision == "tf32" else setup.precision)
    if setup.on_gpu:
        torch.backends.cudnn.benchmark = True
        tf32 = setup.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        module = module.to(setup.device, kind, memory_format=torch.channels_last)

    def tensors(feed: Feed) -> list[Any]:
        found = [torch.from_numpy(feed[name]) for name in inputs]
        if not setup.on_gpu:
            return found
        kinds = [kind if tensor.is_floating_point() else tensor.dtype for tensor in found]
        return [x.to(setup.device, dtype) for x, dtype in zip(found, kinds, strict=True)]

    with torch.inference_mode():
        fast = torch.jit.freeze(torch.jit.trace(module, tensors(feed)))
        if not setup.on_gpu:
            fast = torch.jit.optimize_for_inference(fast)

    def values(given: list[Any]) -> list[Any]:
        with torch.inference_mode():
            found = fast(*given)
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def run(feed: Feed) -> dict[str, Array]:
        found = values(tensors(feed))
        if setup.on_gpu:  # NumPy has no bfloat16
            found = [x.float().cpu() if x.is_floating_point() else x.cpu() for x in found]
        return {name: x.numpy() for name, x in zip(outputs, found, strict=True)}

    def resident(feed: Feed) -> Callable[[], object]:
        given = tensors(feed)

        def call() -> None:
            values(given)
            torch.cuda.synchronize()

        return call

    return Loaded(run, resident=resident if setup.on_gpu else None)


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("lanewise", ("lanewise",), "defaults", _load_lanewise, PRECISIONS),
        Engine(
            "onnxruntime",
            ("onnxruntime",),
            "all optimisations, sequential, inter-op 1, spinning as by default",
            _load_onnxruntime,
            ("float32", "tf32"),
        ),
        Engine(
            "openvino", ("openvino",), "f32, LATENCY, one stream, static shapes", _load_openvino
        ),
        Engine(
            "torch",
            ("torch", "onnx2torch", "onnx"),
            "traced, frozen, optimised; on a GPU channels-last with cudnn.benchmark",
            _load_torch,
            PRECISIONS,
        ),
    )
}


def difference(found: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """The largest |a - b| / max|b| over all outputs; infinite where shapes or NaNs differ.

    Outputs that are not floats agree exactly (0) or not at all (infinite).
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
