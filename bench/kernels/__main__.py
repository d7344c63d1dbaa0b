"""Times layers of bench/shapes by every algorithm that can run them, or kernels one by one.

Build first: `cmake --build --preset dev --target kernel_bench`. Options --benchmark_... go to
google-benchmark: --benchmark_filter=REGEX chooses, --benchmark_out=FILE keeps results.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    google_benchmark: Any = importlib.import_module("google_benchmark")
except ImportError:
    sys.exit("bench.kernels: google-benchmark is missing: pip install '.[bench]'")

try:
    from . import _work
except ImportError:
    sys.exit("bench.kernels: build it first: cmake --build --preset dev --target kernel_bench")
from lanewise import machine

from .shapes import FOLDER, Shape, losses, read

# A layer refused for its cost alone could run: the word of cpu/conv/select.cc.
SLOWER = "slower here"
# Seconds by layer and algorithm.
Times = dict[str, dict[str, float]]


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    out = argparse.ArgumentParser("python -m bench.kernels", description=__doc__)
    out.add_argument(
        "shapes", nargs="*", type=Path, metavar="FILE", help="shapes (all of bench/shapes)"
    )
    out.add_argument("--isa", default=machine.isas()[-1], choices=machine.isas(), help="(widest)")
    out.add_argument("--threads", type=int, default=1, help="threads of a layer (1)")
    out.add_argument("--batch", type=int, default=1, help="images of a layer (1)")
    out.add_argument("--kernels", action="store_true", help="time single kernels instead")
    out.add_argument(
        "--assert",
        dest="check",
        action="store_true",
        help="fail when the choice for a layer is over 10 %% slower than the best candidate",
    )
    return out


def layers(shape: Shape, args: argparse.Namespace) -> dict[str, _work.Layer]:
    """The layer by each algorithm that can run it, the engine's own choice first."""

    def make(force: str) -> _work.Layer:
        return _work.Layer(
            channels=shape.channels,
            size=shape.size,
            outputs=shape.outputs,
            kernel=shape.kernel,
            stride=shape.stride,
            pad=shape.pad,
            group=shape.group,
            batch=args.batch,
            isa=args.isa,
            threads=args.threads,
            force=force,
        )

    chosen = make("")
    others = [name for name, reason in chosen.refused if reason.startswith(SLOWER)]
    return {chosen.algorithm: chosen} | {name: make(name) for name in others}


@dataclass(frozen=True)
class Timed:
    """One benchmark: FLOP/s, their share of the peak measured around the turn, bytes per second."""

    name: str
    run: Callable[[], None]
    flops: float
    bytes: float
    isa: str
    threads: int = 1
    prepare: Callable[[], None] = lambda: None
    note: Callable[[float], None] = lambda _: None

    def __call__(self, state: Any) -> None:
        """The function that google-benchmark calls."""
        best = _work.peak(self.isa)
        self.run()
        seconds = []
        while state:
            self.prepare()
            start = time.perf_counter()
            self.run()
            seconds.append(time.perf_counter() - start)
            state.set_iteration_time(seconds[-1])
        best = max(best, _work.peak(self.isa))
        typical = statistics.median(seconds)
        self.note(typical)
        if self.flops:
            state.counters["GFLOP/s"] = self.flops / typical / 1e9
            state.counters["%peak"] = 100 * self.flops / typical / (best * self.threads)
        if self.bytes:
            state.counters["GB/s"] = self.bytes / typical / 1e9

    def register(self) -> None:
        """Adds it to the run."""
        options = google_benchmark.option.use_manual_time()(self.__call__)
        google_benchmark.register(options, name=self.name)


def register_layers(args: argparse.Namespace) -> tuple[Times, dict[str, str]]:
    """One benchmark per layer and algorithm; returns where times will be, and the choices."""
    seconds: Times = {}
    picks: dict[str, str] = {}
    for path in args.shapes or sorted(FOLDER.glob("*.txt")):
        for shape in read(path):
            label = f"{path.stem}/{shape.name}"
            candidates = layers(shape, args)
            picks[label] = next(iter(candidates))
            times = seconds.setdefault(label, {})
            for name, layer in candidates.items():

                def note(value: float, name: str = name, times: dict[str, float] = times) -> None:
                    times[name] = min(value, times.get(name, value))

                mark = " (taken)" if name == picks[label] else ""
                Timed(
                    f"{label}/{name}{mark}",
                    layer.run,
                    layer.flops,
                    0,
                    args.isa,
                    args.threads,
                    layer.cool,
                    note,
                ).register()
    return seconds, picks


def register_kernels(args: argparse.Namespace) -> None:
    """One benchmark per kernel of the ISA and piece of work."""
    for kernel, isa in _work.versions():
        if isa != args.isa:
            continue
        for work in _work.works(kernel, isa):
            name = f"{kernel}/{isa}/{work.name}"
            Timed(name, work.run, work.flops, work.bytes, isa).register()


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; 1 when --assert finds a choice that loses."""
    args, rest = parser().parse_known_args(arguments)
    unknown = [option for option in rest if not option.startswith("--benchmark_")]
    if unknown:
        parser().error(f"unknown options: {' '.join(unknown)}")
    seconds, picks = ({}, {}) if args.kernels else register_layers(args)
    if args.kernels:
        register_kernels(args)
    # Turns alternate, so that a change of clock meets all candidates.
    turns = ["--benchmark_enable_random_interleaving=true", "--benchmark_repetitions=5"]
    brief = "--benchmark_min_time=0.1s"
    google_benchmark.initialize(["bench.kernels", brief, *(turns if args.check else []), *rest])
    google_benchmark.add_custom_context("cpu", machine.cpu_name())
    google_benchmark.run_benchmarks()
    lost = losses({k: v for k, v in seconds.items() if picks[k] in v}, picks)
    for loss in lost:
        print(loss)
    return 1 if args.check and lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
