"""Rows, engines and a GPU that were made up."""

# ruff: noqa: N802  (the stand-in of NVML has NVML's names)

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lanewise as lw
from lanewise.benchmark.engines import Engine, Feed, Loaded, Setup
from lanewise.benchmark.figures import summary
from lanewise.benchmark.rows import Row


def row(
    batch: int,
    ms: float,
    device: str = "cpu",
    *,
    threads: int = 1,
    precision: str = "float32",
    engine: str = "lanewise",
    start_ms: float = 100.0,
    had_cpu: float = 1.0,
    **more: Any,
) -> Row:
    """A row whose runs all took `ms`."""
    return Row(
        engine=engine,
        device=device,
        threads=threads if device == "cpu" else None,
        precision=precision,
        isa="avx2" if device == "cpu" else None,
        batch=batch,
        inputs={"x": [batch, 3]},
        load_ms=start_ms - 1.0,
        first_run_ms=1.0,
        warmup_runs=1,
        runs=400,
        seconds=0.4 * ms,
        ms=summary([ms / 1e3] * 4),
        cpu_ms=had_cpu * ms * (threads if device == "cpu" else 1),
        runs_per_s=1e3 / ms,
        samples_per_s=batch * 1e3 / ms,
        flops=2e6 * batch,
        gflops_per_s=2e-3 * batch / ms,
        **more,
    )


def simulated_lanewise(
    seconds: float = 0.0, wrong: float = 1.0, start: Callable[[Setup], None] = lambda setup: None
) -> Engine:
    """Lanewise, whose GPU is the CPU: it takes `seconds` longer and scales its outputs by `wrong`.

    `start` is called for each load on the GPU, and may raise what a missing GPU raises.
    """

    def load(file: Path, feed: Feed, setup: Setup) -> Loaded:
        if not setup.on_gpu:
            model = lw.load(file, threads=setup.threads)
            return Loaded(model.run, model)
        start(setup)
        model = lw.load(file)

        def run(feed: Feed) -> dict[str, Any]:
            time.sleep(seconds)
            return {name: value * wrong for name, value in model.run(feed).items()}

        return Loaded(run, model, lambda feed: lambda: model.run(feed))

    precisions = ("float32", "tf32", "float16", "bfloat16")
    return Engine("lanewise", ("lanewise",), "simulated GPU", load, precisions)


class Nvml:
    """A stand-in of NVIDIA's management library with one H100, which uses 1 J per question."""

    def __init__(self, count: int = 1, energy: bool = True) -> None:
        self.count = count
        self.energy = energy
        self.joules = 5

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = 0x1000 + index.value
        return 0

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> int:
        major._obj.value, minor._obj.value = 9, 0
        return 0

    def nvmlDeviceGetNumGpuCores(self, handle: Any, cores: Any) -> int:
        cores._obj.value = 132 * 128
        return 0

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, kind: Any, clock: Any) -> int:
        assert kind.value == 1
        clock._obj.value = 1980
        return 0

    def nvmlDeviceGetName(self, handle: Any, name: Any, size: ctypes.c_uint) -> int:
        assert size.value >= 96
        name.value = b"NVIDIA H100"
        return 0

    def nvmlSystemGetDriverVersion(self, version: Any, size: ctypes.c_uint) -> int:
        version.value = b"580.1"
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, energy: Any) -> int:
        assert handle.value == 0x1000
        self.joules += 1
        energy._obj.value = 1000 * self.joules
        return 0 if self.energy else 3
