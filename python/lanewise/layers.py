"""What a model says of its steps: planned, or timed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["LayerTime", "Plan", "Profile", "layer_of"]


@dataclass(frozen=True)
class LayerTime:
    """One step of a plan, timed.

    Attributes:
        name: the node, or the last of the nodes that were fused into the step.
        op: the operator, fused ones in the domain ``lanewise``.
        algorithm: what was chosen for it.
        output: the first tensor it makes.
        shape: that tensor's shape, as text.
        ms: median time in milliseconds.
        flops: floating-point operations of one run.
        bytes: inputs, weights and outputs, each counted once.
        refused: (algorithm, reason) of the faster ones that could not be taken; of a step that
            runs on the CPU although a device was asked for, (device, reason) first.
        device: where it runs: "cpu" or for example "cuda:0"; "copy" between the two.
    """

    name: str
    op: str
    algorithm: str
    output: str
    shape: str
    ms: float
    flops: float
    bytes: float
    refused: tuple[tuple[str, str], ...] = ()
    device: str = "cpu"

    @property
    def gflops(self) -> float:
        """Rate in GFLOP/s."""
        return self.flops / self.ms / 1e6 if self.ms > 0 else 0.0


@dataclass(frozen=True)
class Profile:
    """Where a run's time went.

    Attributes:
        layers: in order of execution.
        total_ms: median time of a whole run in milliseconds.
        weight_bytes: transformed weights held beside the file's own.
    """

    layers: list[LayerTime] = field(default_factory=list)
    total_ms: float = 0.0
    weight_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """What a run will do, as far as the shapes of the inputs tell.

    Attributes:
        layers: in order of execution, with 0 for each time.
        complete: False when later steps depend on data and are planned while running.
        arena_bytes: memory for inner tensors and scratch, one of it per concurrent run.
        weight_bytes: transformed weights held beside the file's own.
        device_bytes: as arena_bytes, on the device.
    """

    layers: list[LayerTime] = field(default_factory=list)
    complete: bool = True
    arena_bytes: int = 0
    weight_bytes: int = 0
    device_bytes: int = 0

    @property
    def flops(self) -> float:
        """Floating-point operations of all layers; a multiply-add counts as two."""
        return sum(layer.flops for layer in self.layers)


def layer_of(raw: dict[str, Any]) -> LayerTime:
    """A step as the core describes it."""
    return LayerTime(
        name=raw["name"],
        op=raw["op"],
        algorithm=raw["algorithm"],
        output=raw["output"],
        shape=raw["shape"],
        ms=raw["seconds"] * 1e3,
        flops=raw["flops"],
        bytes=raw["bytes"],
        refused=tuple(raw["refused"]),
        device=raw["device"],
    )
