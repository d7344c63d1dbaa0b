"""Where a model's time goes, against what the machine can do: the report of `explain`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lanewise.feeds import concrete_shapes, random_inputs
from lanewise.machine import Peak, cpu_name, measure_peak
from lanewise.model import LayerTime, Model, Profile

__all__ = ["Explanation", "explain"]

#: Algorithms whose arithmetic is not the operator's own multiply-adds, which rates count.
EFFECTIVE = ("winograd", "bf16x3")
#: Wider than any line: a file has no right margin.
UNLIMITED = 10_000


@dataclass(frozen=True)
class Explanation:
    """A profile beside the peaks that were measured around it.

    Attributes:
        profile: times, operations and bytes of each layer.
        peak: the machine's limits with the same instruction set and threads.
        cpu: the processor's name.
        isa: the instruction set in use.
        threads: the most threads that a run uses.
    """

    profile: Profile
    peak: Peak
    cpu: str
    isa: str
    threads: int

    def layer(self, layer: LayerTime) -> dict[str, Any]:
        """One layer's figures: rates in 1e9 per second, `share` of all layers' time in 0..1.

        `percent_of_peak` is None for a step that did not run on the CPU.
        """
        whole = sum(each.ms for each in self.profile.layers)
        return {
            "name": layer.name,
            "op": layer.op,
            "algorithm": layer.algorithm,
            "output": layer.output,
            "shape": layer.shape,
            "ms": layer.ms,
            "share": layer.ms / whole if whole > 0 else 0.0,
            "flops": layer.flops,
            "gflops_per_s": layer.gflops,
            "percent_of_peak": self._of_peak(layer.gflops, [layer]),
            "bytes": layer.bytes,
            "gbytes_per_s": _rate(layer.bytes, layer.ms),
            "device": layer.device,
            "refused": [{"algorithm": name, "reason": why} for name, why in layer.refused],
        }

    def _of_peak(self, rate: float, layers: Sequence[LayerTime]) -> float | None:
        """Percent of the CPU's peak; None where steps ran elsewhere."""
        if any(layer.device != "cpu" for layer in layers):
            return None
        return _percent(rate, self.peak.gflops)

    @property
    def _on_cpu(self) -> bool:
        return all(layer.device == "cpu" for layer in self.profile.layers)

    def total(self) -> dict[str, Any]:
        """The figures of a whole run; `ms` is its median, `layers_ms` the sum of the layers'."""
        flops = sum(layer.flops for layer in self.profile.layers)
        moved = sum(layer.bytes for layer in self.profile.layers)
        ms = self.profile.total_ms
        return {
            "ms": ms,
            "layers_ms": sum(layer.ms for layer in self.profile.layers),
            "flops": flops,
            "gflops_per_s": _rate(flops, ms),
            "percent_of_peak": self._of_peak(_rate(flops, ms), self.profile.layers),
            "bytes": moved,
            "gbytes_per_s": _rate(moved, ms),
            "weight_bytes": self.profile.weight_bytes,
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything as values that `json` can write."""
        return {
            "cpu": self.cpu,
            "isa": self.isa,
            "threads": self.threads,
            "peak": {
                "gflops_per_s": self.peak.gflops,
                "gbytes_per_s": self.peak.gbytes_per_s,
            },
            "layers": [self.layer(layer) for layer in self.profile.layers],
            "total": self.total(),
        }

    def render(self, verbose: bool = False) -> RenderableType:
        """The table, the machine's line and, when `verbose`, the refused algorithms."""
        parts: list[RenderableType] = [self._table(), self._machine()]
        if verbose:
            parts.append(self._refused())
        return Group(*parts)

    def text(self, verbose: bool = False) -> str:
        """The same as plain text."""
        file = io.StringIO()
        Console(file=file, width=UNLIMITED, color_system=None).print(self.render(verbose))
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        devices = () if self._on_cpu else ("device",)
        for heading in ("layer", "operator", "algorithm", *devices, "output"):
            table.add_column(heading)
        for heading in ("ms", "share", "GFLOP/s", "% peak", "MB", "GB/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer in self.profile.layers:
            op = layer.op.removeprefix("lanewise:")
            device = () if self._on_cpu else (layer.device,)
            cells = map(_cell, (layer.name, op, layer.algorithm, *device, layer.shape))
            table.add_row(*cells, *_figures(self.layer(layer)))
        total = self.total()
        share = total["layers_ms"] / total["ms"] if total["ms"] > 0 else 0.0
        count = len(self.profile.layers)
        name = f"whole run ({count} layer{'' if count == 1 else 's'})"
        blank = [""] * (3 + len(devices))
        table.add_row(_cell(name), *blank, *_figures({**total, "share": share}), style="bold")
        return table

    def _machine(self) -> Text:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        line = (
            f"\nPeak measured in this run on {self.cpu}, {self.isa}, {threads}: "
            f"{self.peak.gflops:.1f} GFLOP/s, {self.peak.gbytes_per_s:.1f} GB/s."
        )
        taken = {layer.algorithm for layer in self.profile.layers}
        if any(word in algorithm for algorithm in taken for word in EFFECTIVE):
            line += (
                "\nRates count the operator's own multiply-adds: those of Winograd and of bf16x3 "
                "are effective, and may pass the peak, which is float32 multiply-adds."
            )
        return Text(line)

    def _refused(self) -> Text:
        lines = [
            f"  {printable(layer.name or layer.output)}: {algorithm}: {printable(reason)}"
            for layer in self.profile.layers
            for algorithm, reason in layer.refused
        ]
        heading = (
            "\nAlgorithms that could not be taken:" if lines else "\nNo algorithm was refused."
        )
        return Text("\n".join([heading, *lines]))


def explain(
    model: Model,
    inputs: Mapping[str, object] | None = None,
    runs: int = 10,
) -> Explanation:
    """Profiles a model and measures the machine's peaks before and after.

    Args:
        model: what to profile.
        inputs: arrays by name; by default random ones (see `lanewise.feeds`).
        runs: how many runs the medians are taken over.

    Returns:
        The figures; of the two measurements of the peaks, the higher ones.

    Raises:
        InputError: as for `Model.explain`.
    """
    if inputs is None:
        inputs = random_inputs(model.inputs, concrete_shapes(model.inputs))
    before = measure_peak(model.isa, model.threads)
    profile = model.profile(inputs, runs)
    after = measure_peak(model.isa, model.threads)
    peak = Peak(max(before.gflops, after.gflops), max(before.gbytes_per_s, after.gbytes_per_s))
    return Explanation(profile, peak, cpu_name(), model.isa, model.threads)


def printable(text: str) -> str:
    """`text` with control characters escaped: names come from files, and reach a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _cell(text: str) -> Text:
    """One line, cut where a terminal is too narrow."""
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _rate(amount: float, ms: float) -> float:
    return amount / ms / 1e6 if ms > 0 else 0.0


def _percent(rate: float, peak: float) -> float:
    return 100 * rate / peak if peak > 0 else 0.0


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    counted = row["flops"] > 0
    return (
        f"{row['ms']:.4f}",
        f"{row['share']:.1%}",
        f"{row['gflops_per_s']:.1f}" if counted else "",
        f"{row['percent_of_peak']:.1f}" if counted and row["percent_of_peak"] is not None else "",
        f"{row['bytes'] / 1e6:.3f}",
        f"{row['gbytes_per_s']:.1f}",
    )
