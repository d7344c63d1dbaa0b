"""What NVIDIA's management library says of a GPU: its name, lanes and clock, the energy it used.

The library comes with the driver and is opened by name; nothing here needs CUDA.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Gpu", "NvmlError", "find"]

LIBRARY = "libnvidia-ml.so.1"
# Numbers of the C interface (nvml.h).
_SUCCESS = 0
_NOT_SUPPORTED = 3
_CLOCK_SM = 1


class NvmlError(RuntimeError):
    """The library refused an answer."""


@dataclass(frozen=True)
class Gpu:
    """The only GPU of this machine.

    Attributes:
        name: the board's own.
        driver: version of the driver.
        capability: major and minor number of the architecture.
        cores: float32 lanes.
        clock_hz: the highest clock of the multiprocessors.
    """

    name: str
    driver: str
    capability: tuple[int, int]
    cores: int
    clock_hz: float
    library: Any = field(repr=False, compare=False)
    handle: Any = field(repr=False, compare=False)

    def millijoules(self) -> int:
        """Energy since the driver was loaded.

        Raises:
            NvmlError: the GPU does not count it (those before Volta, and parts of a split GPU).
        """
        value = ctypes.c_ulonglong()
        _ask(self.library, "nvmlDeviceGetTotalEnergyConsumption", self.handle, ctypes.byref(value))
        return int(value.value)


def find(library: Any = None) -> Gpu | str:
    """The GPU, or why there is none to be asked.

    Args:
        library: the opened library; by default the driver's.
    """
    try:
        library = library or ctypes.CDLL(LIBRARY)
        _ask(library, "nvmlInit_v2")
        count = ctypes.c_uint()
        _ask(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        if count.value != 1:
            # CUDA counts GPUs in an order of its own, and may hide some.
            return f"there are {count.value} GPUs, and NVML's numbers are not those of CUDA"
        handle = ctypes.c_void_p()
        _ask(library, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(handle))
        return _describe(library, handle)
    except (OSError, NvmlError) as error:
        return str(error)


def _describe(library: Any, handle: Any) -> Gpu:
    major, minor = ctypes.c_int(), ctypes.c_int()
    _ask(
        library,
        "nvmlDeviceGetCudaComputeCapability",
        handle,
        ctypes.byref(major),
        ctypes.byref(minor),
    )
    cores, clock = ctypes.c_uint(), ctypes.c_uint()
    _ask(library, "nvmlDeviceGetNumGpuCores", handle, ctypes.byref(cores))
    _ask(library, "nvmlDeviceGetMaxClockInfo", handle, ctypes.c_int(_CLOCK_SM), ctypes.byref(clock))
    return Gpu(
        name=_text(library, "nvmlDeviceGetName", handle),
        driver=_text(library, "nvmlSystemGetDriverVersion"),
        capability=(major.value, minor.value),
        cores=cores.value,
        clock_hz=clock.value * 1e6,
        library=library,
        handle=handle,
    )


def _text(library: Any, function: str, *arguments: Any) -> str:
    buffer = ctypes.create_string_buffer(96)
    _ask(library, function, *arguments, buffer, ctypes.c_uint(96))
    return buffer.value.decode("utf-8", "replace")


def _ask(library: Any, function: str, *arguments: Any) -> None:
    """Calls a function of the library.

    Raises:
        NvmlError: it is not there, or did not succeed.
    """
    try:
        status = int(getattr(library, function)(*arguments))
    except AttributeError:
        raise NvmlError(f"{LIBRARY} has no {function}; the driver is too old") from None
    if status != _SUCCESS:
        why = "not supported by this GPU" if status == _NOT_SUPPORTED else f"error {status}"
        raise NvmlError(f"{function}: {why}")
