"""The most that devices can compute: measured on a CPU, by arithmetic on a GPU."""

from __future__ import annotations

from lanewise.benchmark.nvml import Gpu
from lanewise.machine import measure_peak

__all__ = ["Peaks", "gpu_peak_gflops"]

# Float32 lanes in a multiprocessor, and float16 operations (dense, float32 sums) that its tensor
# cores begin per clock, by architecture: NVIDIA's white papers on Turing, Ampere (A100, GA102),
# Ada, Hopper and Blackwell. TF32 runs at half of float16's rate, bfloat16 at the same.
_MULTIPROCESSORS: dict[tuple[int, int], tuple[int, int]] = {
    (7, 5): (64, 1024),
    (8, 0): (64, 2048),
    (8, 6): (128, 512),
    (8, 9): (128, 512),
    (9, 0): (128, 4096),
    (10, 0): (128, 8192),
    (12, 0): (128, 512),
}
_TURING = (7, 5)


def gpu_peak_gflops(gpu: Gpu, precision: str) -> float | None:
    """Operations in 1e9 per second at the highest clock; a multiply-add counts as two.

    Args:
        gpu: the device.
        precision: as in `Setup.precision`; float32 is that of the ordinary lanes.

    Returns:
        The rate, or None where the architecture or its precision is not in the list.

    Example:
        >>> from lanewise.benchmark.nvml import Gpu
        >>> a100 = Gpu("A100", "", (8, 0), 6912, 1.41e9, None, None)
        >>> round(gpu_peak_gflops(a100, "tf32") / 1e3)
        156
    """
    if precision == "float32":
        return 2 * gpu.cores * gpu.clock_hz / 1e9
    known = _MULTIPROCESSORS.get(gpu.capability)
    if known is None or (gpu.capability == _TURING and precision != "float16"):
        return None
    lanes, operations = known
    rate = gpu.cores / lanes * operations * gpu.clock_hz / 1e9
    return rate / 2 if precision == "tf32" else rate


class Peaks:
    """Peaks as they were found in this run: of the CPU by threads, of the GPU by precision."""

    def __init__(self, gpu: Gpu | str) -> None:
        self._gpu = gpu
        self._cpu: dict[int, float] = {}

    def measure(self, isa: str, threads: int) -> None:
        """Measures the CPU, about 100 ms; of several measurements the highest counts."""
        found = measure_peak(isa, threads).gflops
        self._cpu[threads] = max(found, self._cpu.get(threads, 0.0))

    def of(self, precision: str, on_gpu: bool, threads: int | None) -> float | None:
        """Operations in 1e9 per second, where known."""
        if not on_gpu:
            return self._cpu.get(threads or 0)
        return gpu_peak_gflops(self._gpu, precision) if isinstance(self._gpu, Gpu) else None

    def as_dict(self) -> dict[str, float]:
        """What was measured on the CPU, by number of threads."""
        return {str(threads): peak for threads, peak in sorted(self._cpu.items())}
