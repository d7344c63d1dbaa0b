"""What this machine and this build offer: instruction sets, threads, and measured limits."""

from __future__ import annotations

from dataclasses import dataclass

from lanewise import _core

__all__ = ["Peak", "cpu_name", "default_threads", "isas", "measure_peak"]


@dataclass(frozen=True)
class Peak:
    """The limits that a model's speed is compared with.

    Attributes:
        gflops: float32 operations in 1e9 per second; a multiply-add counts as two.
        gbytes_per_s: bytes read from memory, in 1e9 per second.
    """

    gflops: float
    gbytes_per_s: float


def measure_peak(isa: str | None = None, threads: int | None = None) -> Peak:
    """Measures the multiply-add rate and the memory bandwidth, about 50 ms each.

    The two axes of the roofline model (Williams, Waterman and Patterson, "Roofline: an insightful
    visual performance model for multicore architectures", 2009).

    Args:
        isa: instruction set; by default the widest.
        threads: how many threads work together; by default as `lanewise.load` chooses.

    Returns:
        The best rates seen, of all threads together.

    Raises:
        InputError: an option is out of range.
        ResourceError: there is no memory to read from (128 MiB).

    Example:
        >>> from lanewise.machine import measure_peak
        >>> measure_peak(threads=1).gflops > 0.1
        True
    """
    return Peak(*_core.measure_peak(isa or "", threads or 0))


def isas() -> list[str]:
    """The instruction sets that both this machine and this build have, narrowest first."""
    return _core.isas()


def default_threads() -> int:
    """Threads that a model uses unless told otherwise: the physical cores it may use."""
    return _core.default_threads()


def cpu_name() -> str:
    """The processor's own name."""
    return _core.cpu_name()
