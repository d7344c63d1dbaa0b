"""Energy counters: of processors through Linux's powercap files, of a GPU through NVML.

They count everything that the package or the board does, idle power and other programs included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lanewise.benchmark import nvml

__all__ = ["GpuBoard", "Meter", "Package", "find_meters"]

POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """A counter of energy that only rises, or wraps around."""

    @property
    def name(self) -> str:
        """What is counted: "cpu package 0", "gpu 0"."""

    def read(self) -> int:
        """The count, in a unit of its own."""

    def joules(self, before: int, after: int) -> float:
        """The energy between two counts."""


@dataclass(frozen=True)
class Package:
    """A processor package: the zone `intel-rapl:N` of powercap, which AMD's processors have too."""

    name: str
    counter: Path
    top: int

    def read(self) -> int:
        """Microjoules since some moment, modulo `top` + 1."""
        return int(self.counter.read_text(encoding="ascii"))

    def joules(self, before: int, after: int) -> float:
        """The energy between two counts that are less than one turn of the counter apart."""
        return ((after - before) % (self.top + 1)) / 1e6


@dataclass(frozen=True)
class GpuBoard:
    """A whole graphics board."""

    name: str
    gpu: nvml.Gpu

    def read(self) -> int:
        """Millijoules since the driver was loaded."""
        return self.gpu.millijoules()

    def joules(self, before: int, after: int) -> float:
        """The energy between two counts."""
        return (after - before) / 1e3


def find_meters(
    devices: Sequence[str], root: Path = POWERCAP, gpu: nvml.Gpu | str | None = None
) -> tuple[list[Meter], list[str]]:
    """The counters of the devices that can be read here.

    Args:
        devices: as in `Setup.device`.
        root: where the kernel keeps the counters of processors.
        gpu: the GPU, or why it cannot be asked.

    Returns:
        The meters, and a remark for each device that has none.
    """
    meters: list[Meter] = []
    remarks: list[str] = []
    if "cpu" in devices:
        packages, reason = _packages(root)
        meters += packages
        if reason:
            remarks.append(f"no energy of the CPU: {reason}")
    if any(device != "cpu" for device in devices):
        if isinstance(gpu, nvml.Gpu):
            try:
                gpu.millijoules()
                meters.append(GpuBoard("gpu", gpu))
            except nvml.NvmlError as error:
                gpu = str(error)
        if not isinstance(gpu, nvml.Gpu):
            remarks.append(f"no energy of the GPU: {gpu or 'NVML was not asked'}")
    return meters, remarks


def _packages(root: Path) -> tuple[list[Package], str]:
    """The packages' counters, or why there are none."""
    # Sub-zones (cores, memory) have a second number: intel-rapl:0:1. Packages hold them.
    zones = sorted(path for path in root.glob("intel-rapl:*") if path.name.count(":") == 1)
    found = []
    for zone in zones:
        try:
            kind = (zone / "name").read_text(encoding="ascii").strip()
            if not kind.startswith("package"):
                continue
            top = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
            package = Package(f"cpu {kind}", zone / "energy_uj", top)
            package.read()
        except PermissionError:
            return [], f"{zone / 'energy_uj'} may be read by root alone"
        except (OSError, ValueError) as error:
            return [], f"{zone}: {error}"
        found.append(package)
    return found, "" if found else f"there are no RAPL counters under {root}"
