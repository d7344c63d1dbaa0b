"""The stand-ins for NVIDIA's libraries as tests see them: what they are set to, what they saw."""

from __future__ import annotations

import ctypes
from pathlib import Path


class StandIn:
    """The shared object that the engine opens under four names; `misuse` is what it did wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._library = ctypes.CDLL(str(folder / "libcuda.so.1"))
        self._library.read_standin.restype = ctypes.c_longlong
        self._library.misuse_of_standin.restype = ctypes.c_size_t

    def reset(self) -> None:
        """Forgets settings, counts and misuse."""
        self._library.reset_standin()

    def set(self, name: str, value: int) -> None:
        """A setting: see set_standin in state.cc."""
        self._library.set_standin(name.encode(), ctypes.c_longlong(value))

    def read(self, name: str) -> int:
        """A counter: see read_standin in state.cc."""
        return int(self._library.read_standin(name.encode()))

    @property
    def misuse(self) -> str:
        """One line for each call that the real libraries would not have taken."""
        text = ctypes.create_string_buffer(10_000)
        self._library.misuse_of_standin(text, ctypes.c_size_t(len(text)))
        return text.value.decode()

    def alive(self) -> dict[str, int]:
        """What is allocated on the device and beside it."""
        kinds = ("bytes", "blocks", "pinned", "streams", "graphs", "handles", "descriptors")
        return {kind: self.read(f"live_{kind}") for kind in kinds}
